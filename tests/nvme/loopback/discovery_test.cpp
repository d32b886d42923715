// Discovery end to end: what the log lists, how hosts hear of changes, and bdevs that follow it.
#include <spdkio/bdev/service.hpp>
#include <spdkio/bdev_modules/nvme.hpp>
#include <spdkio/nvme/discover.hpp>
#include <spdkio/rpc/method_table.hpp>
#include <spdkio/runtime/sleep.hpp>
#include <spdkio/runtime/with_timeout.hpp>
#include <spdkio/spec/fabrics.hpp>
#include <spdkio/spec/features.hpp>

#include <algorithm>
#include <vector>

#include "loopback_fixture.hpp"
#include "method_caller.hpp"

namespace spdkio::loopback {
namespace {

class DiscoveryTest : public LoopbackTest {
 protected:
  nvme::TransportId service() const {
    nvme::TransportId where = address_;
    where.subnqn.clear();
    return where;
  }
  static const nvme::DiscoveryEntry* find(const std::vector<nvme::DiscoveryEntry>& entries, std::string_view nqn) {
    const auto found = std::ranges::find_if(entries, [nqn](const auto& entry) { return entry.id.subnqn == nqn; });
    return found == entries.end() ? nullptr : &*found;
  }
  Task<std::vector<nvme::DiscoveryEntry>> log(bool follow_referrals = false) {
    nvme::DiscoverOptions options;
    options.follow_referrals = follow_referrals;
    auto discovering = nvme::discover(service(), options);
    co_return co_await std::move(discovering);
  }
  /// A second subsystem on the same port, with a RAM disk of that name.
  Task<nvmf::Subsystem> add_subsystem(std::string nqn, std::string disk_name) {
    bdev::MallocOptions disk;
    disk.name = disk_name;
    disk.num_blocks = 64;
    auto making = bdev::create_malloc(disk);
    co_await std::move(making);
    nvmf::SubsystemOptions options;
    options.allow_any_host = true;
    auto creating = target_->create_subsystem(nqn, options);
    nvmf::Subsystem subsystem = co_await std::move(creating);
    auto showing = subsystem.add_namespace(disk_name);
    co_await std::move(showing);
    nvme::TransportId where = service();
    auto listening = subsystem.add_listener(where);
    co_await std::move(listening);
    auto starting = subsystem.start();
    co_await std::move(starting);
    co_return subsystem;
  }
};

TEST_F(DiscoveryTest, ReferralsAreListedAndFollowed) {
  on_home([&]() -> Task<> {
    // Another target, this one itself, and one where nobody answers.
    nvmf::TargetOptions named;
    named.name = "other";
    named.provider = nvme_test::provider_asked_for();
    auto making = nvmf::Target::create(named);
    nvmf::Target other = co_await std::move(making);
    auto adding = other.add_transport(nvmf::Transport::tcp());
    co_await std::move(adding);
    auto creating = other.create_subsystem("nqn.2026-11.io.spdkio:other");
    const nvmf::Subsystem far = co_await std::move(creating);
    far.allow_any_host(true);
    auto listening = far.add_listener(nvme::TransportId::tcp("127.0.0.1", 0));
    nvme::TransportId there = co_await std::move(listening);
    there.subnqn.clear();  // the service, not the subsystem
    auto starting = far.start();
    co_await std::move(starting);
    nvmf::Referral to_other{.where = there};
    target_->add_referral(to_other);
    nvmf::Referral here{.where = service()};
    target_->add_referral(here);
    nvmf::Referral away{.where = nvme::TransportId::tcp("127.0.0.1", 1, "nqn.2026-11.io.spdkio:elsewhere"),
                        .secure_channel = true};
    target_->add_referral(away);
    EXPECT_EQ(target_->referrals().size(), 3u);
    EXPECT_EQ(target_->referrals()[0].where.subnqn, spec::fabrics::discovery_nqn);
    EXPECT_THROW(target_->add_referral(away), Error);
    nvmf::Referral anywhere{.where = nvme::TransportId::tcp("0.0.0.0", 4420)};
    EXPECT_THROW(target_->add_referral(anywhere), Error);

    auto reading = log();
    const auto entries = co_await std::move(reading);
    const nvme::DiscoveryEntry* const listed = find(entries, "nqn.2026-11.io.spdkio:elsewhere");
    EXPECT_NE(listed, nullptr);
    if (listed == nullptr) co_return;
    EXPECT_EQ(listed->type, spec::discovery::SubsystemType::referral);
    EXPECT_EQ(listed->id.traddr, "127.0.0.1");
    EXPECT_EQ(listed->id.trsvcid, "1");
    EXPECT_EQ(listed->raw.treq & 3, static_cast<int>(spec::discovery::SecureChannel::required));

    // Whoever follows asks each service once, and lives with one that does not answer.
    auto following = log(true);
    const auto all = co_await std::move(following);
    EXPECT_EQ(std::ranges::count_if(all, [](const auto& entry) { return entry.id.subnqn == subnqn; }), 1);
    EXPECT_NE(find(all, "nqn.2026-11.io.spdkio:other"), nullptr);
    EXPECT_EQ(find(entries, "nqn.2026-11.io.spdkio:other"), nullptr);

    target_->remove_referral(away.where);
    EXPECT_THROW(target_->remove_referral(away.where), Error);
    auto reading_again = log();
    const auto fewer = co_await std::move(reading_again);
    EXPECT_EQ(find(fewer, "nqn.2026-11.io.spdkio:elsewhere"), nullptr);
    EXPECT_EQ(fewer.size(), entries.size() - 1);
    auto ending = other.destroy();
    co_await std::move(ending);
  });
}

TEST_F(DiscoveryTest, ChangesOfTheLogAreAnnounced) {
  on_home([&]() -> Task<> {
    nvme::ControllerOptions options;
    options.discovery = true;
    auto connecting = nvme::Controller::connect(service(), options);
    nvme::Controller controller = co_await std::move(connecting);
    const auto announced = [&]() -> Task<bool> {
      auto waiting = with_timeout(10s, controller.next_event());
      const auto event = co_await std::move(waiting);
      co_return event && event->kind == nvme::ControllerEvent::Kind::async_event &&
          event->async.information == static_cast<std::uint8_t>(spec::AsyncNotice::discovery_log_changed);
    };
    const auto acknowledge = [&]() -> Task<> {
      DmaBuf page(1024);
      auto reading = controller.log_page(spec::LogPage::discovery, page);
      co_await std::move(reading);
    };
    nvmf::Referral referral{.where = nvme::TransportId::tcp("192.0.2.1", 8009)};
    target_->add_referral(referral);
    auto first = announced();
    const bool first_came = co_await std::move(first);
    EXPECT_TRUE(first_came);
    auto reading = acknowledge();
    co_await std::move(reading);
    auto stopping = subsystem_->stop();
    co_await std::move(stopping);
    auto second = announced();
    const bool second_came = co_await std::move(second);
    EXPECT_TRUE(second_came);
    auto detaching = controller.detach();
    co_await std::move(detaching);
  });
}

TEST_F(DiscoveryTest, BdevsFollowTheLog) {
  rpc::MethodTable table;
  bdev::register_nvme_methods(table);
  on_home([&]() -> Task<> {
    const MethodCaller call{table};
    const auto there = [](const char* name) { return bdev::Service::current().find(name) != nullptr; };
    Json start{{"name", "auto"},
               {"trtype", "tcp"},
               {"traddr", "127.0.0.1"},
               {"adrfam", "ipv4"},
               {"trsvcid", address_.trsvcid},
               {"wait_for_attach", true},
               {"attach_timeout_ms", 20000}};
    auto starting = call("bdev_nvme_start_discovery", start);
    const Json started = co_await std::move(starting);
    EXPECT_EQ(started, Json(true));
    EXPECT_TRUE(there("auto0n1"));
    auto again = call("bdev_nvme_start_discovery", start);
    const auto refused = co_await as_result(std::move(again));
    EXPECT_FALSE(refused);
    if (!refused) {
      EXPECT_EQ(refused.error().code(), std::errc::file_exists);
    }

    // A controller of its own is saved as one, this one with the service that brought it.
    EXPECT_TRUE(bdev::Service::current().find("auto0n1")->device()->config().is_null());
    const Json saved = bdev::nvme_discovery_config();
    EXPECT_EQ(saved.size(), 1u);
    EXPECT_EQ(saved[0]["method"], "bdev_nvme_start_discovery");
    EXPECT_EQ(saved[0]["params"]["name"], "auto");
    EXPECT_EQ(saved[0]["params"]["trsvcid"], address_.trsvcid);

    nvmf::Referral referral{.where = nvme::TransportId::tcp("192.0.2.1", 8009)};
    target_->add_referral(referral);
    auto adding = add_subsystem("nqn.2026-11.io.spdkio:second", "Malloc1");
    const nvmf::Subsystem second = co_await std::move(adding);
    while (!there("auto1n1")) co_await sleep_for(1ms);
    auto asking = call("bdev_nvme_get_discovery_info", nullptr);
    const Json info = co_await std::move(asking);
    EXPECT_EQ(info[0]["name"], "auto");
    EXPECT_EQ(info[0]["trid"]["trsvcid"], address_.trsvcid);
    EXPECT_EQ(info[0]["trid"]["subnqn"], spec::fabrics::discovery_nqn);
    EXPECT_EQ(info[0]["referrals"][0]["trid"]["traddr"], "192.0.2.1");

    auto going = second.destroy();
    co_await std::move(going);
    while (there("auto1n1")) co_await sleep_for(1ms);
    EXPECT_TRUE(there("auto0n1"));

    Json named;
    named["name"] = "auto";
    auto stopping = call("bdev_nvme_stop_discovery", named);
    const Json stopped = co_await std::move(stopping);
    EXPECT_EQ(stopped, Json(true));
    EXPECT_FALSE(there("auto0n1"));
    EXPECT_EQ(bdev::nvme_discovery_config().size(), 0u);
    auto unknown = call("bdev_nvme_stop_discovery", named);
    const auto unknown_answer = co_await as_result(std::move(unknown));
    EXPECT_FALSE(unknown_answer);
    auto removing = bdev::delete_malloc("Malloc1");
    co_await std::move(removing);
  });
}

TEST_F(DiscoveryTest, AServiceThatDoesNotAnswerIsGivenUpInTime) {
  rpc::MethodTable table;
  bdev::register_nvme_methods(table);
  on_home([&]() -> Task<> {
    Json start{
        {"name", "auto"}, {"trtype", "tcp"}, {"traddr", "127.0.0.1"}, {"trsvcid", "1"}, {"attach_timeout_ms", 50}};
    const MethodCaller call{table};
    auto starting = call("bdev_nvme_start_discovery", start);
    const auto started = co_await as_result(std::move(starting));
    EXPECT_FALSE(started);
    if (!started) {
      EXPECT_EQ(started.error().code(), std::errc::timed_out) << started.error().what();
    }
    EXPECT_EQ(bdev::nvme_discovery_config().size(), 0u) << "nothing stays behind";
  });
}

}  // namespace
}  // namespace spdkio::loopback
