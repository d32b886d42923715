#include <spdkio/spec/discovery.hpp>
#include <spdkio/spec/fabrics.hpp>
#include <spdkio/spec/features.hpp>
#include <spdkio/spec/identify_controller.hpp>
#include <spdkio/spec/log_page.hpp>
#include <spdkio/spec/registers.hpp>

#include <bit>

#include "nvmf/test_fixture.hpp"

namespace spdkio::nvmf::test {
namespace {

using spec::Feature;
using spec::LogPage;

template <class T>
T as(const Answer& answer) {
  T value{};
  std::memcpy(&value, answer.data.data(), std::min(sizeof value, answer.data.size()));
  return value;
}

Answer get_log(RawHost& host, LogPage page, std::uint32_t bytes, std::uint64_t offset = 0, bool retain = false) {
  return host.run(spec::get_log_page_command(page, bytes, offset, spec::nsid_all, retain), {}, bytes);
}

class AdminCommandsTest : public TargetTest {};

TEST_F(AdminCommandsTest, DisablingAndShuttingDown) {
  RawHost host = admin();
  RawHost queue = io();
  const auto cc = spec::Configuration::enable(0);
  EXPECT_TRUE(host.set_property(spec::fabrics::property::cc, cc.with_shutdown(1).value).status().ok());
  EXPECT_EQ(host.property(spec::fabrics::property::csts), 0x9u);
  EXPECT_TRUE(queue.closed_by_target());
  EXPECT_TRUE(host.set_property(spec::fabrics::property::cc, cc.disabled().value).status().ok());
  EXPECT_EQ(host.property(spec::fabrics::property::csts), 0u);
  EXPECT_EQ(identify(host, spec::Cns::controller).status().sc, 0x0C);
  EXPECT_TRUE(host.set_property(spec::fabrics::property::cc, cc.value).status().ok());
  EXPECT_EQ(host.property(spec::fabrics::property::csts), 1u);
  RawHost again = io();
  EXPECT_TRUE(again.run(spec::nvm::flush(1)).status().ok());
}

TEST_F(AdminCommandsTest, PropertiesThatDontExist) {
  RawHost host = admin();
  EXPECT_THROW(host.property(0x100), std::runtime_error);
  EXPECT_THROW(host.property(spec::fabrics::property::cap), std::runtime_error);
  EXPECT_EQ(host.set_property(spec::fabrics::property::vs, 1).status().sc, 0x02);
  // nvme-cli shows all properties one by one and goes on after this status only, without DNR.
  for (const spec::Property property : {spec::Property::intms, spec::Property::nssr, spec::Property::cmbsz}) {
    spec::fabrics::PropertyGetCommand get;
    get.offset = static_cast<std::uint32_t>(property);
    const NvmeStatus status = host.run(std::bit_cast<spec::Command>(get)).status();
    EXPECT_EQ(status, nvme_sc::invalid_field) << status.describe();
  }
  EXPECT_EQ(host.set_property(0xFFFF'FFFC, 1).status().sc, 0x02);
}

TEST_F(AdminCommandsTest, ConfigurationThatCantBeIsFatal) {
  RawHost host(port_);
  ASSERT_TRUE(host.handshake());
  ASSERT_TRUE(host.connect_queue(0, 31, 0xFFFF, subnqn).status().ok());
  EXPECT_TRUE(host.set_property(spec::fabrics::property::cc, spec::Configuration::enable(5).value).status().ok());
  EXPECT_EQ(host.property(spec::fabrics::property::csts), 2u);
}

TEST_F(AdminCommandsTest, Features) {
  RawHost host = admin();
  const auto get = [&](Feature feature) { return host.run(spec::get_features_command(feature)); };
  const auto set = [&](Feature feature, std::uint32_t value) {
    return host.run(spec::set_features_command(feature, value)).status();
  };
  const Answer queues = host.run(spec::set_features_command(Feature::number_of_queues, 0x0003'0003));
  EXPECT_EQ(queues.completion.dw0.value(), 0x0003'0003u);
  const Answer many = host.run(spec::set_features_command(Feature::number_of_queues, 0x0FFF'0FFF));
  EXPECT_EQ(many.completion.dw0.value(), 126u | 126u << 16);
  EXPECT_EQ(set(Feature::number_of_queues, 0xFFFF'FFFF).sc, 0x02);
  EXPECT_TRUE(set(Feature::async_event_configuration, 0x100).ok());
  EXPECT_EQ(get(Feature::async_event_configuration).completion.dw0.value(), 0x100u);
  EXPECT_TRUE(set(Feature::keep_alive_timer, 30000).ok());
  EXPECT_EQ(get(Feature::keep_alive_timer).completion.dw0.value(), 30000u);
  EXPECT_EQ(get(Feature::volatile_write_cache).completion.dw0.value(), 1u);
  EXPECT_EQ(set(Feature::volatile_write_cache, 0).sct, 1);
  EXPECT_EQ(get(static_cast<Feature>(0x7F)).status().sc, 0x02);
  EXPECT_EQ(set(static_cast<Feature>(0x7F), 0).sc, 0x02);
  EXPECT_EQ(set(Feature::power_management, 3).sc, 0x02);
  spec::Command save = spec::set_features_command(Feature::arbitration, 1, true);
  EXPECT_EQ(host.run(save).status().sc, 0x0D);
  spec::Command hostid = spec::get_features_command(Feature::host_identifier, spec::FeatureSelect::current, 1);
  const Answer id = host.run(hostid, {}, 16);
  EXPECT_EQ(id.data, Bytes(16, std::byte{0x42}));
}

TEST_F(AdminCommandsTest, LogPages) {
  RawHost host = admin();
  EXPECT_EQ(as<spec::SmartLog>(get_log(host, LogPage::smart_health, 512)).available_spare, 100);
  EXPECT_EQ(as<spec::FirmwareSlotLog>(get_log(host, LogPage::firmware_slot, 512)).active, 1);
  const auto effects = as<spec::CommandEffectsLog>(get_log(host, LogPage::commands_supported, 4096));
  EXPECT_EQ(effects.io[1].value(), spec::effects::supported | spec::effects::content_change);
  EXPECT_EQ(effects.io[2].value(), spec::effects::supported);
  EXPECT_EQ(effects.admin[0x84].value(), 0u);
  EXPECT_TRUE(get_log(host, LogPage::error_information, 64).status().ok());
  EXPECT_EQ(as<spec::SupportedLogPages>(get_log(host, LogPage::supported_pages, 1024)).page[2].value(), 1u);
  EXPECT_EQ(get_log(host, LogPage::telemetry_host, 512).status().sc, 0x09);
  EXPECT_EQ(get_log(host, LogPage::discovery, 1024).status().sc, 0x09);
  // Parts of a page, from the middle and from behind its end.
  const Answer part = get_log(host, LogPage::commands_supported, 8, 1024 + 4);
  ASSERT_EQ(part.data.size(), 8u);
  EXPECT_EQ(std::to_integer<int>(part.data[0]), 3);
  EXPECT_EQ(get_log(host, LogPage::smart_health, 64, UINT64_MAX - 3).data, Bytes(64));
  EXPECT_EQ(get_log(host, LogPage::smart_health, 64, 2).status().sc, 0x02);
  // More asked for than there is room.
  EXPECT_EQ(host.run(spec::get_log_page_command(LogPage::smart_health, 512), {}, 256).status().sc, 0x0F);
}

TEST_F(AdminCommandsTest, ChangedNamespacesAreAnnounced) {
  RawHost host = admin();
  ASSERT_TRUE(host.run(spec::set_features_command(Feature::async_event_configuration, 0x100)).status().ok());
  const std::uint16_t first = host.submit(spec::async_event_request_command());
  make_malloc("M1", 2048);
  on_home([&] { return subsystem_->add_namespace("M1"); });
  const auto event = spec::AsyncEvent::decode(host.wait(first).completion.dw0);
  EXPECT_EQ(event.type, spec::AsyncEventType::notice);
  EXPECT_EQ(event.information, 0);
  EXPECT_EQ(event.log_page, 0x04);
  // No second event until the page is read.
  const std::uint16_t second = host.submit(spec::async_event_request_command());
  on_home([&] { return subsystem_->remove_namespace(1); });
  const auto list = as<spec::ChangedNamespaceLog>(get_log(host, LogPage::changed_ns_list, 4096));
  EXPECT_EQ(list.nsid[0].value(), 1u);
  EXPECT_EQ(list.nsid[1].value(), 2u);
  EXPECT_EQ(list.nsid[2].value(), 0u);
  EXPECT_EQ(as<spec::ChangedNamespaceLog>(get_log(host, LogPage::changed_ns_list, 4096)).nsid[0].value(), 0u);
  on_home([] { bdev::Service::current().notify_resize("M1", BlockCount{4096}); });
  EXPECT_EQ(spec::AsyncEvent::decode(host.wait(second).completion.dw0).log_page, 0x04);
  EXPECT_EQ(as<spec::ChangedNamespaceLog>(get_log(host, LogPage::changed_ns_list, 4096)).nsid[0].value(), 2u);
  const auto active = as<spec::NamespaceList>(identify(host, spec::Cns::active_ns_list));
  EXPECT_EQ(active.nsid[0].value(), 2u);
}

TEST_F(AdminCommandsTest, RemovedDeviceIsARemovedNamespace) {
  RawHost host = admin();
  RawHost queue = io();
  ASSERT_TRUE(host.run(spec::set_features_command(Feature::async_event_configuration, 0x100)).status().ok());
  const std::uint16_t event = host.submit(spec::async_event_request_command());
  on_home([] { return bdev::Service::current().unregister_device("M0"); });
  EXPECT_EQ(spec::AsyncEvent::decode(host.wait(event).completion.dw0).log_page, 0x04);
  EXPECT_EQ(queue.run(read(0, 8), {}, 4096).status().sc, 0x0B);
  EXPECT_TRUE(on_home([&] { return subsystem_->namespaces(); }).empty());
}

TEST_F(AdminCommandsTest, AsyncEventRequestsHaveALimit) {
  RawHost host = admin();
  std::vector<std::uint16_t> cids;
  for (int i = 0; i < 4; ++i) cids.push_back(host.submit(spec::async_event_request_command()));
  EXPECT_EQ(host.run(spec::async_event_request_command()).status().sc, 0x05);
  // An aborted one makes room.
  EXPECT_EQ(host.run(spec::abort_command(0, cids[2])).completion.dw0.value(), 0u);
  EXPECT_EQ(host.wait(cids[2]).status().sc, 0x07);
  host.submit(spec::async_event_request_command());
  EXPECT_EQ(host.run(spec::async_event_request_command()).status().sc, 0x05);
}

TEST_F(AdminCommandsTest, TheCidOfAWaitingEventRequestMayBeUsedAgain) {
  RawHost host = admin();
  const std::uint16_t cid = host.submit(spec::async_event_request_command());
  host.next_cid = cid;
  EXPECT_EQ(host.property(spec::fabrics::property::csts), 1u) << "as SPDK's host does when it says goodbye";
  // The request is gone: nothing answers it any more, and there is room for as many as before.
  for (int i = 0; i < 4; ++i) host.submit(spec::async_event_request_command());
  EXPECT_EQ(host.run(spec::async_event_request_command()).status().sc, 0x05);
}

TEST_F(AdminCommandsTest, AbortEndsWhatWaits) {
  RawHost host = admin();
  RawHost queue = io();
  on_home([&] { return subsystem_->pause(); });
  spec::Command command = read(0, 8);
  command.flags = 0x40;
  command.set_sgl(spec::SglDescriptor::transport_data(4096));
  const std::uint16_t parked = queue.submit(command);
  const std::uint16_t other = queue.submit(command);
  // Once the target has it; commands of two connections come in no order.
  while (on_home([&] { return target_->connections(); })[1].in_flight < 2) {
  }
  EXPECT_EQ(host.run(spec::abort_command(1, parked)).completion.dw0.value(), 0u);
  EXPECT_EQ(queue.wait(parked).status().sc, 0x07);
  EXPECT_EQ(host.run(spec::abort_command(1, 999)).completion.dw0.value(), 1u);
  EXPECT_EQ(host.run(spec::abort_command(9, 1)).status().sc, 0x02);
  on_home([&] { return subsystem_->resume(); });
  EXPECT_EQ(queue.wait(other).data.size(), 4096u);
}

TEST_F(AdminCommandsTest, DiscoveryTellsWhereTheSubsystemsAre) {
  SubsystemOptions options;
  const auto hidden = on_home([&] { return target_->create_subsystem("nqn.2026-11.io.spdkio:hidden", options); });
  on_home([&] { return hidden.start(); });
  const nvme::TransportId where = listener_;
  on_home([&] { return hidden.add_listener(where); });

  RawHost host = admin(0, std::string(spec::fabrics::discovery_nqn));
  const auto id = as<spec::IdentifyController>(identify(host, spec::Cns::controller));
  EXPECT_EQ(id.cntrltype, spec::ControllerType::discovery);
  const auto page = [&host] {
    const Answer answer = get_log(host, LogPage::discovery, 4096);
    std::pair<spec::discovery::LogHeader, std::vector<spec::discovery::LogEntry>> log;
    std::memcpy(&log.first, answer.data.data(), sizeof log.first);
    log.second.resize(log.first.numrec);
    for (std::size_t i = 0; i < log.second.size(); ++i) {
      std::memcpy(&log.second[i], answer.data.data() + 1024 * (i + 1), 1024);
    }
    return log;
  };
  const auto before = page();
  ASSERT_EQ(before.second.size(), 1u);
  EXPECT_EQ(spec::fabrics::field_text(before.second[0].subnqn), subnqn);
  EXPECT_EQ(before.second[0].trtype, spec::discovery::TransportType::tcp);
  EXPECT_THAT(std::string(before.second[0].traddr.data(), 10), "127.0.0.1 ");

  ASSERT_TRUE(host.run(spec::set_features_command(Feature::async_event_configuration, 1u << 31)).status().ok());
  const std::uint16_t event = host.submit(spec::async_event_request_command());
  on_home([&] { hidden.add_host(RawHost::default_hostnqn); });
  EXPECT_EQ(spec::AsyncEvent::decode(host.wait(event).completion.dw0).information, 0xF0);
  const auto after = page();
  EXPECT_EQ(after.second.size(), 2u);
  EXPECT_NE(after.first.genctr.value(), before.first.genctr.value());

  // What discovery controllers don't have.
  EXPECT_EQ(identify(host, spec::Cns::active_ns_list).status().sc, 0x02);
  EXPECT_EQ(get_log(host, LogPage::smart_health, 512).status().sc, 0x09);
  EXPECT_EQ(host.run(spec::get_features_command(Feature::number_of_queues)).status().sc, 0x02);
}

}  // namespace
}  // namespace spdkio::nvmf::test
