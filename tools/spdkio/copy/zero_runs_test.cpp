
#include "spdkio/copy/zero_runs.hpp"

#include <gtest/gtest.h>

namespace spdkio::tool {
namespace {

class ZeroRuns : public testing::Test {
 protected:
  std::vector<ByteRun> runs(std::size_t grain, std::size_t least_zero) {
    std::vector<ByteRun> found;
    find_runs(data_, grain, least_zero, found);
    return found;
  }
  std::vector<std::byte> data_ = std::vector<std::byte>(1000);
};

TEST_F(ZeroRuns, AllOfOneKind) {
  EXPECT_EQ(runs(100, 100), (std::vector<ByteRun>{{0, 1000, true}}));
  data_.assign(1000, std::byte{1});
  EXPECT_EQ(runs(100, 100), (std::vector<ByteRun>{{0, 1000, false}}));
}

TEST_F(ZeroRuns, DataIsCutAtTheGrain) {
  data_[350] = std::byte{1};
  EXPECT_EQ(runs(100, 100), (std::vector<ByteRun>{{0, 300, true}, {300, 100, false}, {400, 600, true}}));
}

TEST_F(ZeroRuns, ShortZeroesCountAsData) {
  data_[50] = data_[350] = std::byte{1};
  EXPECT_EQ(runs(100, 300), (std::vector<ByteRun>{{0, 400, false}, {400, 600, true}}));
}

TEST_F(ZeroRuns, LengthThatIsNoMultiple) {
  data_.resize(950);
  data_[949] = std::byte{1};
  EXPECT_EQ(runs(100, 100), (std::vector<ByteRun>{{0, 900, true}, {900, 50, false}}));
}

TEST_F(ZeroRuns, EveryByteCounts) {
  for (std::size_t at = 0; at < 200; ++at) {
    std::vector<std::byte> data(200);
    EXPECT_TRUE(all_zero(data));
    data[at] = std::byte{0x80};
    EXPECT_FALSE(all_zero(data)) << at;
  }
  EXPECT_TRUE(all_zero({}));
}

}  // namespace
}  // namespace spdkio::tool
