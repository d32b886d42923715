// Commands cost the target no allocation once it is warm: counted on the OS thread that polls.
#include "nvmf/test_fixture.hpp"
#include "runtime/counted_new.hpp"

namespace spdkio::nvmf::test {
namespace {

using runtime_test::allocations;

class NoAllocation : public TargetTest, public ::testing::WithParamInterface<int> {
 protected:
  /// What `work` makes the target's OS thread allocate; asking for it costs some itself, the same each time.
  template <class F>
  std::uint64_t allocations_of(F work) {
    const std::uint64_t before = on_home([] { return allocations; });
    work();
    return on_home([] { return allocations; }) - before;
  }
};

TEST_P(NoAllocation, ForReadsAndWritesOfAnyKind) {
  const auto digests = static_cast<std::uint8_t>(GetParam());
  RawHost control = admin(digests);
  RawHost host = io(1, digests);
  const Bytes small = pattern(4096);
  const Bytes large = pattern(131072);
  const auto round = [&](int count) {
    for (int i = 0; i < count; ++i) {
      EXPECT_TRUE(host.run(write(0, 8), small).status().ok());
      EXPECT_TRUE(host.run(write(8, 256), {}, 0, large).status().ok());
      EXPECT_TRUE(host.run(read(0, 8), {}, 4096).status().ok());
      EXPECT_TRUE(host.run(read(8, 256), {}, 131072).status().ok());
      EXPECT_TRUE(host.run(ranged(spec::NvmOpcode::write_zeroes, 0, 8)).status().ok());
    }
  };
  round(20);
  const std::uint64_t nothing = allocations_of([] {});
  EXPECT_EQ(allocations_of([&] { round(100); }), nothing);
}
INSTANTIATE_TEST_SUITE_P(Digests, NoAllocation, ::testing::Values(0, 3));

}  // namespace
}  // namespace spdkio::nvmf::test
