// Bad input: refused before anything reaches the device, with an error that says which mistake it was.

#include <string_view>
#include <thread>

#include "conformance_fixture.hpp"

namespace spdkio::conformance {
namespace {

class MisuseTest : public DeviceTest {
 protected:
  template <class T>
  static void expect_refused(const Result<T>& result, Misuse code) {
    ASSERT_FALSE(result) << "was done";
    EXPECT_EQ(result.error().code(), code) << result.error().what();
    EXPECT_EQ(result.error().outcome(), Outcome::never_submitted);
    EXPECT_FALSE(result.error().device().empty());
  }
};
INSTANTIATE_TEST_SUITE_P(On, MisuseTest, ::testing::ValuesIn(all_kinds()),
                         [](const auto& instance) { return std::string(instance.param.test_name); });

TEST_P(MisuseTest, BeyondTheEnd) {
  const DmaBuf data = buffer(8);
  for (const std::uint64_t first : {device_blocks, device_blocks - 7, UINT64_MAX, UINT64_MAX - 7, UINT64_MAX - 8}) {
    expect_refused(run(desc_->read(channel_, data, blocks(first, 8))), Misuse::out_of_range);
    expect_refused(run(desc_->write(channel_, data, blocks(first, 8))), Misuse::out_of_range);
    if (desc_->supports(IoType::unmap)) {
      expect_refused(run(desc_->unmap(channel_, blocks(first, 8))), Misuse::out_of_range);
    }
    if (desc_->supports(IoType::write_zeroes)) {
      expect_refused(run(desc_->write_zeroes(channel_, blocks(first, 8))), Misuse::out_of_range);
    }
  }
  const std::uint64_t last_offset = UINT64_MAX / block_size_ * block_size_;
  expect_refused(run(desc_->read(channel_, data, ByteOffset{last_offset})), Misuse::out_of_range);
  expect_refused(run(desc_->read(channel_, data, ByteOffset{device_blocks * block_size_})), Misuse::out_of_range);
  if (desc_->supports(IoType::write_zeroes)) {
    expect_refused(run(desc_->write_zeroes(channel_, blocks(1, UINT64_MAX))), Misuse::out_of_range);
    expect_refused(run(desc_->write_zeroes(channel_, blocks(0, device_blocks + 1))), Misuse::out_of_range);
  }
}

TEST_P(MisuseTest, EmptyRanges) {
  expect_refused(run(desc_->read(channel_, DmaSpan{}, blocks(0, 0))), Misuse::out_of_range);
  expect_refused(run(desc_->write(channel_, DmaSpan{}, blocks(8, 0))), Misuse::out_of_range);
  if (desc_->supports(IoType::unmap)) {
    expect_refused(run(desc_->unmap(channel_, blocks(0, 0))), Misuse::out_of_range);
  }
  if (desc_->supports(IoType::write_zeroes)) {
    expect_refused(run(desc_->write_zeroes(channel_, blocks(0, 0))), Misuse::out_of_range);
  }
}

TEST_P(MisuseTest, OffsetsAndLengthsInsideABlock) {
  const DmaBuf data = buffer(2);
  expect_refused(run(desc_->read(channel_, data, ByteOffset{1})), Misuse::misaligned);
  expect_refused(run(desc_->write(channel_, data, ByteOffset{block_size_ / 2})), Misuse::misaligned);
  expect_refused(run(desc_->read(channel_, data.subspan(0, block_size_ + 8), ByteOffset{0})), Misuse::misaligned);
  if (desc_->supports(IoType::unmap)) {
    const ByteRange range{ByteOffset{0}, ByteCount{block_size_ + std::uint64_t{1}}};
    expect_refused(run(desc_->unmap(channel_, range)), Misuse::misaligned);
  }
}

TEST_P(MisuseTest, BuffersOfAnotherLengthThanTheRange) {
  const DmaBuf data = buffer(4);
  expect_refused(run(desc_->read(channel_, data, blocks(0, 3))), Misuse::buffer_size);
  expect_refused(run(desc_->read(channel_, data, blocks(0, 5))), Misuse::buffer_size);
  expect_refused(run(desc_->write(channel_, data.subspan(0, 100), blocks(0, 1))), Misuse::buffer_size);
  const std::array<DmaSpan, 2> list{data.subspan(0, block_size_), data.subspan(block_size_, block_size_)};
  expect_refused(run(desc_->read(channel_, list, blocks(0, 1))), Misuse::buffer_size);
  expect_refused(run(desc_->read(channel_, DmaSpans{}, blocks(0, 1))), Misuse::buffer_size);
}

TEST_P(MisuseTest, MetadataThatTheDeviceHasNoPlaceFor) {
  const bdev::Geometry& geometry = desc_->bdev().geometry();
  const DmaBuf data = buffer(2);
  const std::uint32_t separate = geometry.metadata_interleaved ? 0 : geometry.metadata_size;
  const DmaBuf metadata{std::size_t{2} * separate + 8};
  const auto refused = run(desc_->read(channel_, data, blocks(0, 2), {.metadata = metadata}));
  expect_refused(refused, Misuse::buffer_size);
  EXPECT_NE(std::string_view(refused.error().what()).find("separate metadata"), std::string_view::npos);
  if (desc_->supports(IoType::write)) {
    expect_refused(run(desc_->write(channel_, data, blocks(0, 2), {.metadata = metadata})), Misuse::buffer_size);
  }
}

TEST_P(MisuseTest, BuffersThatAreNotAligned) {
  const std::size_t alignment = desc_->buffer_alignment();
  const DmaBuf data = buffer(2);
  if (alignment == 1) {
    EXPECT_TRUE(run(desc_->read(channel_, data.subspan(1, block_size_), blocks(0, 1)))) << "any address will do";
    return;
  }
  expect_refused(run(desc_->read(channel_, data.subspan(1, block_size_), blocks(0, 1))), Misuse::misaligned);
  const std::array<DmaSpan, 2> list{data.subspan(0, alignment / 2),
                                    data.subspan(block_size_, block_size_ - alignment / 2)};
  expect_refused(run(desc_->write(channel_, list, blocks(0, 1))), Misuse::misaligned);
}

TEST_P(MisuseTest, ADescriptorForReading) {
  BdevDesc reader = open(name_, Access::read_only);
  IoChannel channel = reader.io_channel();
  const DmaBuf data = buffer(1);
  EXPECT_TRUE(run(reader.read(channel, data, blocks(0, 1))));
  expect_refused(run(reader.write(channel, data, blocks(0, 1))), Misuse::read_only);
  expect_refused(run(reader.unmap(channel, blocks(0, 1))), Misuse::read_only);
  expect_refused(run(reader.write_zeroes(channel, blocks(0, 1))), Misuse::read_only);
  expect_refused(run(reader.reset(channel)), Misuse::read_only);
  channel.close();
  block_on(reader.close());
}

TEST_P(MisuseTest, AClosedDescriptor) {
  const DmaBuf data = buffer(1);
  block_on(desc_->close());
  expect_refused(run(desc_->read(channel_, data, blocks(0, 1))), Misuse::already_closed);
  EXPECT_EQ(code_of(run(desc_->close())), Misuse::already_closed);
  try {
    const IoChannel another = desc_->io_channel();
    ADD_FAILURE() << "gave a channel";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Misuse::already_closed);
  }
  IoChannel closed;
  desc_.emplace(open(name_));
  expect_refused(run(desc_->read(closed, data, blocks(0, 1))), Misuse::already_closed);
}

TEST_P(MisuseTest, AChannelOfAnotherThread) {
  const DmaBuf data = buffer(1);
  std::thread([&] {
    Thread other = Thread::attach("other");
    const auto result = run(desc_->read(channel_, data, blocks(0, 1)));
    expect_refused(result, Misuse::wrong_thread);
    if (!result) EXPECT_THAT(result.error().what(), HasSubstr("conformance"));
    EXPECT_EQ(code_of(run(desc_->close())), Misuse::wrong_thread);
    other.close();
  }).join();
  EXPECT_TRUE(run(desc_->read(channel_, data, blocks(0, 1)))) << "the refusals did no harm";
}

TEST_P(MisuseTest, AChannelOfAnotherDevice) {
  block_on(bdev::create_malloc({.name = "Other", .num_blocks = 64}));
  BdevDesc other = open("Other");
  IoChannel channel = other.io_channel();
  const DmaBuf data = buffer(1);
  expect_refused(run(desc_->read(channel, data, blocks(0, 1))), Misuse::invalid_argument);
  channel.close();
  block_on(other.close());
}

TEST_P(MisuseTest, ADeviceThatIsNotThere) {
  const auto opened = run(BdevDesc::open("Nowhere", Access::read_only));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), std::errc::no_such_device);
  EXPECT_EQ(opened.error().device(), "Nowhere");
  EXPECT_EQ(code_of(run(BdevDesc::open("Nowhere", Access::read_only, {.wait = 20ms}))), std::errc::timed_out);
  EXPECT_EQ(code_of(run(bdev::create_malloc({.name = name_, .num_blocks = 64}))), std::errc::file_exists);
}

}  // namespace
}  // namespace spdkio::conformance
