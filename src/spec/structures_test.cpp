#include <spdkio/spec/command.hpp>
#include <spdkio/spec/completion.hpp>
#include <spdkio/spec/endian.hpp>
#include <spdkio/spec/features.hpp>
#include <spdkio/spec/identify.hpp>
#include <spdkio/spec/identify_namespace.hpp>
#include <spdkio/spec/log_page.hpp>
#include <spdkio/spec/management.hpp>
#include <spdkio/spec/nvm_command.hpp>
#include <spdkio/spec/opcodes.hpp>
#include <spdkio/spec/registers.hpp>
#include <spdkio/spec/reservation.hpp>
#include <spdkio/spec/text.hpp>

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace spdkio::spec {
namespace {

template <class T>
std::array<std::uint8_t, sizeof(T)> bytes_of(const T& value) {
  return std::bit_cast<std::array<std::uint8_t, sizeof(T)>>(value);
}

TEST(Endian, BytesStandInTheirOrder) {
  EXPECT_EQ(bytes_of(Le32{0x11223344}), (std::array<std::uint8_t, 4>{0x44, 0x33, 0x22, 0x11}));
  EXPECT_EQ(bytes_of(Be32{0x11223344}), (std::array<std::uint8_t, 4>{0x11, 0x22, 0x33, 0x44}));
  EXPECT_EQ(bytes_of(Le16{0xABCD}), (std::array<std::uint8_t, 2>{0xCD, 0xAB}));
  EXPECT_EQ(Le64{0x0102030405060708}.value(), 0x0102030405060708u);
  EXPECT_EQ(Be64{0x0102030405060708}.value(), 0x0102030405060708u);
  static_assert(Be16{1} == 1);
}

TEST(Command, FieldsLieWhereTheSpecificationSays) {
  Command command;
  command.opcode = 0x02;
  command.cid = 0x1234;
  command.nsid = 7;
  command.set_fuse(Fuse::second);
  command.set_psdt(Psdt::sgl_contiguous_metadata);
  command.set_cdw10_11(0x1122334455667788);
  const auto bytes = bytes_of(command);
  EXPECT_EQ(bytes[0], 0x02);
  EXPECT_EQ(bytes[1], 0x42);
  EXPECT_EQ(bytes[2], 0x34);
  EXPECT_EQ(bytes[3], 0x12);
  EXPECT_EQ(bytes[4], 7);
  EXPECT_EQ(bytes[40], 0x88);
  EXPECT_EQ(bytes[47], 0x11);
  EXPECT_EQ(command.fuse(), Fuse::second);
  EXPECT_EQ(command.psdt(), Psdt::sgl_contiguous_metadata);
  command.set_fuse(Fuse::none);
  EXPECT_EQ(command.flags, 0x40);
}

TEST(Command, SglDescriptors) {
  Command command;
  command.set_sgl(SglDescriptor::in_capsule(0, 4096));
  EXPECT_EQ(bytes_of(command)[39], 0x01);
  EXPECT_EQ(command.sgl().length, 4096u);
  command.set_sgl(SglDescriptor::transport_data(512));
  EXPECT_EQ(bytes_of(command)[39], 0x5A);
  EXPECT_EQ(command.sgl().type(), SglType::transport_data_block);
  EXPECT_EQ(command.sgl().sub_type(), SglSubType::transport);
}

TEST(Completion, StatusGoesBothWays) {
  for (const NvmeStatus status :
       {NvmeStatus{}, NvmeStatus{.sct = 2, .sc = 0x85, .dnr = true},
        NvmeStatus{.sct = 7, .sc = 0xFF, .more = true, .crd = 3}, NvmeStatus{.sc = 0x21, .crd = 1}}) {
    Completion completion;
    completion.status_field = 1;
    completion.set_status(status);
    EXPECT_EQ(completion.status(), status);
    EXPECT_TRUE(completion.phase());
    EXPECT_EQ(completion.ok(), status.ok());
  }
  Completion completion;
  completion.set_status({.sct = 1, .sc = 0x80, .dnr = true});
  EXPECT_EQ(completion.status_field, 0x8300);
}

TEST(Registers, Fields) {
  const Capabilities cap{0x0000'0020'1401'03FFu | std::uint64_t{2} << 32 | std::uint64_t{4} << 52};
  EXPECT_EQ(cap.max_queue_entries(), 1024u);
  EXPECT_TRUE(cap.contiguous_queues_required());
  EXPECT_EQ(cap.timeout_ms(), 10000u);
  EXPECT_EQ(cap.doorbell_stride(), 16u);
  EXPECT_TRUE(cap.nvm_command_set());
  EXPECT_EQ(cap.min_page_size(), 4096u);
  EXPECT_EQ(cap.max_page_size(), 65536u);
  const auto cc = Configuration::enable(6, 13);
  EXPECT_TRUE(cc.enabled());
  EXPECT_EQ(cc.command_set(), 6u);
  EXPECT_EQ(cc.page_size(), 8192u);
  EXPECT_EQ(cc.sq_entry_log2(), 6u);
  EXPECT_EQ(cc.cq_entry_log2(), 4u);
  EXPECT_EQ(cc.with_shutdown(1).shutdown(), 1u);
  EXPECT_FALSE(cc.disabled().enabled());
  EXPECT_EQ(ControllerStatus{0x9}.shutdown_status(), 2u);
}

TEST(Commands, LogPageLengthsAndOffsets) {
  const Command command = get_log_page_command(LogPage::discovery, 1u << 20, 0x1'0000'0010, 3, true, 5);
  EXPECT_EQ(log_page_bytes(command), 1u << 20);
  EXPECT_EQ(command.cdw10, 0x70u | 5u << 8 | 1u << 15 | 0xFFFFu << 16);
  EXPECT_EQ(command.cdw11, 3u);
  EXPECT_EQ(command.cdw12, 0x10u);
  EXPECT_EQ(command.cdw13, 1u);
  EXPECT_EQ(log_page_bytes(get_log_page_command(LogPage::smart_health, 512)), 512u);
}

TEST(Commands, NvmRanges) {
  const LbaRange range{Lba{0x1'0000'0001}, BlockCount{65536}};
  const Command command = nvm::write(9, range, nvm_flags::force_unit_access);
  EXPECT_EQ(nvm::range_of(command), range);
  EXPECT_EQ(command.cdw12, 0x4000'FFFFu);
  EXPECT_EQ(data_transfer_of(command.opcode), DataTransfer::host_to_controller);
  EXPECT_EQ(data_transfer_of(raw(NvmOpcode::read)), DataTransfer::controller_to_host);
  EXPECT_EQ(data_transfer_of(raw(NvmOpcode::flush)), DataTransfer::none);
  EXPECT_EQ(nvm::dataset_management(1, 256, dsm_deallocate).cdw10, 255u);
}

TEST(Commands, FeaturesAndManagement) {
  EXPECT_EQ(NumberOfQueues::decode((NumberOfQueues{16, 8}).encode()).submission, 16u);
  EXPECT_EQ(set_features_command(Feature::keep_alive_timer, 5, true).cdw10, 0x8000'000Fu);
  EXPECT_EQ(get_features_command(Feature::number_of_queues, FeatureSelect::saved).cdw10, 0x207u);
  const AsyncEvent event{AsyncEventType::notice, 0xF0, 0x70};
  EXPECT_EQ(AsyncEvent::decode(event.encode()), event);
  EXPECT_EQ(abort_command(1, 0x1234).cdw10, 0x1234'0001u);
  EXPECT_EQ(format_nvm_command(1, 17, SecureErase::user_data, true, 2, true).cdw10,
            0x1u | 1u << 4 | 2u << 5 | 1u << 8 | 1u << 9 | 1u << 12);
  EXPECT_EQ(sanitize_command(SanitizeAction::overwrite, false, 16, true, true, 0xAA).cdw10, 3u | 1u << 8 | 1u << 9);
  EXPECT_EQ(identify_command(Cns::command_set_ns, 3, 4, Csi::zoned).cdw10, 0x0004'0005u);
  EXPECT_EQ(identify_command(Cns::command_set_ns, 3, 4, Csi::zoned).cdw11, 0x0200'0000u);
  EXPECT_EQ(reservation_acquire_command(1, AcquireAction::preempt, ReservationType::exclusive_access).cdw10, 0x201u);
}

TEST(Identify, FormatInUse) {
  IdentifyNamespace ns;
  ns.flbas = 0x21 | 0x10;
  EXPECT_EQ(ns.format_index(), 17u);
  EXPECT_TRUE(ns.metadata_interleaved());
  ns.lbaf[17].data_log2 = 12;
  EXPECT_EQ(ns.format().block_size(), 4096u);
  EXPECT_EQ((LbaFormat{.data_log2 = 8}).block_size(), 0u);
  EXPECT_EQ((LbaFormat{.data_log2 = 64}).block_size(), 0u);
}

TEST(Text, PaddingAndOddBytes) {
  Text<8> text;
  text.assign_spaces("abc");
  EXPECT_EQ(text.chars[3], ' ');
  EXPECT_EQ(text.to_string(), "abc");
  text.assign_spaces("longer than it");
  EXPECT_EQ(text.to_string(), "longer t");
  text.assign_zeroes("a\x01 b");
  EXPECT_EQ(text.to_string(), "a? b");
}

TEST(Opcodes, Names) {
  EXPECT_EQ(to_string(AdminOpcode::keep_alive), "Keep Alive");
  EXPECT_EQ(to_string(NvmOpcode::zone_append), "Zone Append");
  EXPECT_EQ(to_string(static_cast<AdminOpcode>(0xC1)), "vendor specific");
  EXPECT_EQ(to_string(static_cast<AdminOpcode>(0x7E)), "unknown");
}

TEST(LogPages, BigCounters) {
  Le128 counter;
  counter.low = 5;
  counter.high = 1;
  EXPECT_DOUBLE_EQ(counter.to_double(), 18446744073709551621.0);
}

}  // namespace
}  // namespace spdkio::spec
