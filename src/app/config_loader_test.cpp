#include "app/config_loader.hpp"

#include <spdkio/base/error.hpp>
#include <spdkio/rpc/dispatcher.hpp>
#include <spdkio/rpc/params.hpp>
#include <spdkio/runtime/block_on.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "app/app_test_support.hpp"

namespace spdkio::app {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Create {
  std::string name;
  void fields(rpc::Params& p) { p.required("name", &name, "Name"); }
};

class ConfigTest : public testing::Test {
 protected:
  ConfigTest() {
    methods_.add<Create>("disk_create", "", [this](Create p) { return note("create " + p.name, p.name == "bad"); });
    methods_.add("disk_wait", "", [this] { return note("wait", false); });
    methods_.add("disk_options", "", [this] { return note("options", false); }, rpc::RpcStates::startup);
    methods_.add("any_time", "", [this] { return note("any", false); }, rpc::RpcStates::always);
  }

  Task<Json> note(std::string what, bool fail) {
    calls_.push_back(std::move(what));
    if (fail) {
      throw Error(std::errc::file_exists, "it is there already")
          .with_operation("create")
          .with_device("bad")
          .with_range({Lba{8}, BlockCount{2}})
          .with_hint("take another name");
    }
    co_return true;
  }

  void run(const std::string& text) {
    const Config config = Config::from_text(text);
    config.check_methods(methods_);
    rpc::Dispatcher dispatcher(methods_, rpc::RpcState::startup);
    block_on(config.run(dispatcher));
    dispatcher.set_state(rpc::RpcState::runtime);
    block_on(config.run(dispatcher));
  }

  std::string failure(const std::string& text) {
    try {
      run(text);
    } catch (const Error& error) {
      return error.what();
    }
    return "it went well";
  }

  /// A configuration with these entries for one subsystem.
  static std::string bdev(const std::string& entries) {
    return R"({"subsystems":[{"subsystem":"bdev","config":[)" + entries + "]}]}";
  }

  rpc::MethodTable methods_;
  std::vector<std::string> calls_;
};

TEST_F(ConfigTest, RunsTheCallsInOrder) {
  run(bdev(R"({"method":"disk_create","params":{"name":"a"}},{"method":"disk_wait"},)"
           R"({"method":"disk_create","params":{"name":"b"}})"));
  EXPECT_THAT(calls_, ElementsAre("create a", "wait", "create b"));
}

TEST_F(ConfigTest, CallsThatMayComeEarlyComeFirstAndOnce) {
  run(bdev(R"({"method":"disk_create","params":{"name":"a"}},{"method":"any_time"},{"method":"disk_options"})"));
  EXPECT_THAT(calls_, ElementsAre("any", "options", "create a"));
}

TEST_F(ConfigTest, SubsystemsWithoutConfigurationAreFine) {
  run(R"({"subsystems":[{"subsystem":"accel","config":null},{"subsystem":"nvmf","config":[]},{"subsystem":"sock"}]})");
  run(R"({"subsystems":[]})");
  EXPECT_THAT(calls_, IsEmpty());
}

TEST_F(ConfigTest, CommentsAreAllowed) {
  run("// made by hand\n" + bdev(R"(/* one */ {"method":"disk_wait"})"));
  EXPECT_THAT(calls_, ElementsAre("wait"));
}

TEST_F(ConfigTest, MistakesAreNamedWithTheirPlace) {
  EXPECT_THAT(failure("{"), HasSubstr("json_data: 1:2"));
  EXPECT_THAT(failure("[]"), HasSubstr("an object is expected, not array"));
  EXPECT_THAT(failure("{}"), HasSubstr("'subsystems' is missing"));
  EXPECT_THAT(failure(R"({"subsystem":[]})"), AllOf(HasSubstr("unknown member 'subsystem'"), HasSubstr("subsystems")));
  EXPECT_THAT(failure(R"({"subsystems":{}})"), HasSubstr("'subsystems' is to be an array, not object"));
  EXPECT_THAT(failure(R"({"subsystems":[7]})"), HasSubstr("subsystems[0]: an object is expected, not number"));
  EXPECT_THAT(failure(R"({"subsystems":[{"config":[]}]})"), HasSubstr("subsystems[0]: 'subsystem' is missing"));
  EXPECT_THAT(failure(R"({"subsystems":[{"subsystem":"bdev"},{"subsystem":"bdov"}]})"),
              AllOf(HasSubstr("subsystems[1]: unknown subsystem 'bdov'"), HasSubstr("bdev, ")));
  EXPECT_THAT(failure(R"({"subsystems":[{"subsystem":"bdev","config":{}}]})"), HasSubstr("'config' is to be an array"));
  EXPECT_THAT(failure(bdev(R"({"params":{}})")), HasSubstr("subsystems[0].config[0]: 'method' is missing"));
  EXPECT_THAT(failure(bdev(R"({"method":1})")), HasSubstr("'method' is to be a string, not number"));
  EXPECT_THAT(failure(bdev(R"({"method":"disk_wait","parms":{}})")), HasSubstr("unknown member 'parms'"));
}

TEST_F(ConfigTest, UnknownMethodStopsItBeforeAnythingRan) {
  EXPECT_THAT(
      failure(bdev(R"({"method":"disk_wait"},{"method":"disk_creat","params":{"name":"a"}})")),
      AllOf(HasSubstr("json_data: subsystems[0].config[1]"), HasSubstr("disk_creat"), HasSubstr("disk_create")));
  EXPECT_THAT(calls_, IsEmpty());
}

TEST_F(ConfigTest, WrongParametersAreNamed) {
  EXPECT_THAT(failure(bdev(R"({"method":"disk_wait"},{"method":"disk_create","params":{"nam":"a"}})")),
              AllOf(HasSubstr("subsystems[0].config[1]: disk_create"), HasSubstr("nam"), HasSubstr("name")));
  EXPECT_THAT(failure(bdev(R"({"method":"disk_create","params":{"name":3}})")),
              AllOf(HasSubstr("disk_create"), HasSubstr("string")));
}

TEST_F(ConfigTest, FailureOfAMethodKeepsItsCodeAndStopsTheRest) {
  const std::string text =
      bdev(R"({"method":"disk_create","params":{"name":"bad"}},{"method":"disk_create","params":{"name":"next"}})");
  try {
    run(text);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), std::errc::file_exists);
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("config[0]"), HasSubstr("disk_create"), HasSubstr("it is there already")));
    // All that the method's Error knew, and which call of the configuration it was.
    EXPECT_EQ(error.operation(), "create");
    EXPECT_EQ(error.device(), "bad");
    EXPECT_TRUE(error.range());
    EXPECT_EQ(error.hint(), "take another name");
    EXPECT_THAT(error.context(), ElementsAre("json_data: subsystems[0].config[0]: disk_create"));
  }
  EXPECT_THAT(calls_, ElementsAre("create bad"));
}

TEST_F(ConfigTest, FileIsNamedInErrors) {
  const TemporaryFolder folder;
  const std::string path = folder.file("app.json");
  std::ofstream(path) << "{\n  \"subsystems\": [,]\n}";
  try {
    Config::from_file(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(path + ":2:18"));
  }
  EXPECT_THROW(Config::from_file(folder.file("missing.json")), Error);
}

}  // namespace
}  // namespace spdkio::app
