// Random operations against a model in ordinary memory. The seed is printed; SPDKIO_TEST_SEED repeats a run.

#include <cstdio>
#include <cstdlib>

#include "conformance_fixture.hpp"

namespace spdkio::conformance {
namespace {

unsigned seed_of_run() {
  if (const char* given = ::getenv("SPDKIO_TEST_SEED")) return static_cast<unsigned>(std::strtoul(given, nullptr, 10));
  return std::random_device{}();
}

class RandomOperationsTest : public DeviceTest {
 protected:
  static constexpr std::uint64_t longest = 24;

  std::uint64_t below(std::uint64_t limit) {
    return std::uniform_int_distribution<std::uint64_t>(0, limit - 1)(random_);
  }
  LbaRange any_range() {
    const std::uint64_t count = 1 + below(longest);
    return blocks(below(device_blocks - count + 1), count);
  }
  std::span<std::byte> model_of(LbaRange range) {
    return std::span(model_).subspan(range.first.value * block_size_, range.count.value * block_size_);
  }
  /// The first `count` blocks of a buffer, cut into up to five pieces of whole blocks.
  std::vector<DmaSpan> pieces(const DmaBuf& buffer, std::uint64_t count) {
    std::vector<DmaSpan> made;
    for (std::uint64_t at = 0; at < count;) {
      const std::uint64_t take = made.size() == 4 ? count - at : 1 + below(count - at);
      made.push_back(buffer.subspan(at * block_size_, take * block_size_));
      at += take;
    }
    return made;
  }
  /// One step; gives what it did, for the report of a failure.
  std::string step(const DmaBuf& buffer, const DmaBuf& other) {
    const LbaRange range = any_range();
    const std::size_t bytes = range.count.value * block_size_;
    const auto model = model_of(range);
    const std::string where = " of " + std::to_string(range.count.value) + " at " + std::to_string(range.first.value);
    const auto list = pieces(buffer, range.count.value);
    switch (below(8)) {
      case 0:
      case 1: {
        fill_random(buffer.subspan(0, bytes), static_cast<unsigned>(random_()));
        EXPECT_TRUE(run(desc_->write(channel_, list, range)));
        std::memcpy(model.data(), buffer.data(), bytes);
        return "write" + where;
      }
      case 2: {
        if (!desc_->supports(IoType::write_zeroes)) return "nothing";
        EXPECT_TRUE(run(desc_->write_zeroes(channel_, range)));
        std::memset(model.data(), 0, bytes);
        return "write_zeroes" + where;
      }
      case 3: {
        if (!desc_->supports(IoType::copy)) return "nothing";
        const LbaRange from = blocks(below(device_blocks - range.count.value + 1), range.count.value);
        EXPECT_TRUE(run(desc_->copy(channel_, from, range.first)));
        std::memmove(model.data(), model_of(from).data(), bytes);
        return "copy" + where + " from " + std::to_string(from.first.value);
      }
      case 4: {
        if (!desc_->supports(IoType::compare_and_write)) return "nothing";
        std::memcpy(buffer.data(), model.data(), bytes);
        fill_random(other.subspan(0, bytes), static_cast<unsigned>(random_()));
        const bool spoilt = below(2) == 0;
        if (spoilt) buffer[below(bytes)] ^= std::byte{1};
        const std::array<DmaSpan, 1> data{other.subspan(0, bytes)};
        const auto result = run(desc_->compare_and_write(channel_, list, data, range));
        EXPECT_EQ(result.has_value(), !spoilt);
        if (!spoilt) std::memcpy(model.data(), other.data(), bytes);
        return "compare_and_write" + where;
      }
      case 5: {
        const LbaRange outside = blocks(device_blocks - below(range.count.value), range.count.value);
        EXPECT_EQ(code_of(run(desc_->write(channel_, list, outside))), Misuse::out_of_range);
        return "write beyond the end";
      }
      default: {
        buffer.fill(std::byte{0xEE});
        EXPECT_TRUE(run(desc_->read(channel_, list, range)));
        EXPECT_EQ(std::memcmp(buffer.data(), model.data(), bytes), 0);
        return "read" + where;
      }
    }
  }

  std::mt19937 random_;
  std::vector<std::byte> model_;
};

std::vector<Kind> kinds_with_a_model() {
  auto kinds = all_kinds();
  std::erase_if(kinds, [](const Kind& kind) {
    const std::string name = kind.test_name;
    return name != "Malloc512" && name != "Split" && name != "Passthru" && name != "Tower";
  });
  return kinds;
}
INSTANTIATE_TEST_SUITE_P(On, RandomOperationsTest, ::testing::ValuesIn(kinds_with_a_model()),
                         [](const auto& instance) { return std::string(instance.param.test_name); });

TEST_P(RandomOperationsTest, AgreeWithTheModel) {
  const unsigned seed = seed_of_run();
  std::printf("SPDKIO_TEST_SEED=%u\n", seed);
  random_.seed(seed);
  model_.assign(device_blocks * block_size_, std::byte{0});
  const DmaBuf data = buffer(longest);
  const DmaBuf other = buffer(longest);
  for (int i = 0; i < 3000; ++i) {
    const std::string did = step(data, other);
    ASSERT_FALSE(HasFailure()) << "step " << i << ": " << did << ", seed " << seed;
  }
  const DmaBuf found = buffer(128);
  for (std::uint64_t first = 0; first < device_blocks; first += 128) {
    ASSERT_TRUE(run(desc_->read(channel_, found, blocks(first, 128))));
    ASSERT_EQ(std::memcmp(found.data(), model_of(blocks(first, 128)).data(), found.size()), 0)
        << "at block " << first << ", seed " << seed;
  }
}

}  // namespace
}  // namespace spdkio::conformance
