#include <spdkio/rpc/dispatcher.hpp>

#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/sleep.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace spdkio::rpc {
namespace dispatcher_test {

using ::testing::HasSubstr;

struct Add {
  std::int64_t a = 0;
  std::int64_t b = 0;
  void fields(Params& p) {
    p.required("a", &a);
    p.required("b", &b);
  }
};

class DispatcherTest : public ::testing::Test {
 public:
  DispatcherTest() {
    table.add<Add>("add", "Add numbers", [this](Add p) { return add(p); });
    table.add("no_device", "Fail", [] { return no_device(); });
    table.add("throw_early", "Fail before there is a task", []() -> Task<Json> { throw std::runtime_error("early"); });
    table.add("throw_number", "Fail", [] { return throw_number(); });
    table.add("wait", "Suspend", [] { return wait(); });
    table.add("start_only", "Start", [] { return wait(); }, RpcStates::startup);
    add_rpc_methods(table, [this] { return dispatcher.state(); });
  }

  Task<Json> add(Add p) {
    log.push_back(p.a);
    co_return Json(p.a + p.b);
  }
  static Task<Json> no_device() {
    throw Error::from_errno(ENODEV);
    co_return Json();
  }
  static Task<Json> throw_number() {
    throw 7;
    co_return Json();
  }
  static Task<Json> wait() {
    co_await sleep_for(std::chrono::milliseconds(1));
    co_return Json("done");
  }

  std::string answer(std::string_view text) {
    auto message = parse_json(text);
    if (!message) return message.error().what();
    const auto out = block_on(dispatcher.handle(std::move(*message)));
    return out ? dump_json(*out) : "";
  }

  MethodTable table;
  Dispatcher dispatcher{table};
  std::vector<std::int64_t> log;
};

TEST_F(DispatcherTest, AnswersARequest) {
  EXPECT_EQ(answer(R"({"jsonrpc":"2.0","method":"add","params":{"a":1,"b":2},"id":7})"),
            R"({"jsonrpc":"2.0","id":7,"result":3})");
  EXPECT_EQ(answer(R"({"method":"wait","params":null,"id":"x"})"), R"({"jsonrpc":"2.0","id":"x","result":"done"})");
  EXPECT_EQ(answer(R"({"method":"wait","params":{},"id":null})"), R"({"jsonrpc":"2.0","id":null,"result":"done"})");
  EXPECT_EQ(answer(R"({"method":"wait","id":-1.5})"), R"({"jsonrpc":"2.0","id":-1.5,"result":"done"})");
}

TEST_F(DispatcherTest, NotificationsRunAndGetNoAnswer) {
  EXPECT_EQ(answer(R"({"method":"add","params":{"a":5,"b":2}})"), "");
  EXPECT_THAT(log, ::testing::ElementsAre(5));
  EXPECT_EQ(answer(R"({"method":"no_such"})"), "");
  EXPECT_EQ(answer(R"({"method":"no_device"})"), "");
}

TEST_F(DispatcherTest, ErrorsOfHandlersAreAnswers) {
  EXPECT_EQ(answer(R"({"method":"no_device","id":1})"),
            R"({"jsonrpc":"2.0","id":1,"error":{"code":-19,"message":"No such device"}})");
  EXPECT_THAT(answer(R"({"method":"throw_early","id":1})"),
              HasSubstr(R"("code":-32603,"message":"Internal error: early")"));
  EXPECT_THAT(answer(R"({"method":"throw_number","id":1})"), HasSubstr(R"("code":-32603)"));
  EXPECT_THAT(answer(R"({"method":"add","params":{"a":1},"id":1})"),
              HasSubstr(R"("code":-32602,"message":"Invalid parameters: add: \"b\": missing, expected int64")"));
  EXPECT_THAT(answer(R"({"method":"add","params":[1,2],"id":1})"), HasSubstr(R"("code":-32602)"));
  EXPECT_THAT(answer(R"({"method":"wait","params":{"x":1},"id":1})"), HasSubstr("unknown parameter"));
  EXPECT_THAT(answer(R"({"method":"ad","id":1})"),
              HasSubstr(R"("code":-32601,"message":"Method not found: \"ad\", did you mean \"add\"?")"));
  EXPECT_THAT(answer(R"({"method":"start_only","id":1})"), HasSubstr(R"("code":-1)"));
}

TEST_F(DispatcherTest, InvalidRequestsSayWhy) {
  const auto expect = [this](const char* text, const char* id, const char* why) {
    EXPECT_EQ(answer(text), std::string(R"({"jsonrpc":"2.0","id":)") + id +
                                R"(,"error":{"code":-32600,"message":"Invalid request: )" + why + "\"}}")
        << text;
  };
  expect("1", "null", "a request is an object");
  expect("\"x\"", "null", "a request is an object");
  expect("{}", "null", "\\\"method\\\" is missing");
  expect(R"({"id":3})", "3", "\\\"method\\\" is missing");
  expect(R"({"id":3,"method":4})", "3", "\\\"method\\\" must be a string");
  expect(R"({"id":3,"method":"add","jsonrpc":"1.0"})", "3", "\\\"jsonrpc\\\" must be \\\"2.0\\\"");
  expect(R"({"id":3,"method":"add","jsonrpc":2.0})", "3", "\\\"jsonrpc\\\" must be \\\"2.0\\\"");
  expect(R"({"id":3,"method":"add","params":4})", "3", "\\\"params\\\" must be an object or an array");
  expect(R"({"id":[3],"method":"add"})", "null", "\\\"id\\\" must be a string, a number or null");
  expect(R"({"id":3,"method":"add","parms":{}})", "3", "unknown member \\\"parms\\\", did you mean \\\"params\\\"?");
  expect("[]", "null", "a batch must hold a request");
}

TEST_F(DispatcherTest, BatchesAreAnsweredInOrder) {
  EXPECT_EQ(
      answer(R"([{"method":"add","params":{"a":1,"b":1},"id":"a"},{"method":"add","params":{"a":2,"b":1}},)"
             R"(3,{"method":"wait","id":"w"},{"method":"add","params":{"a":3,"b":1},"id":"b"}])"),
      R"([{"jsonrpc":"2.0","id":"a","result":2},)"
      R"({"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request: a request is an object"}},)"
      R"({"jsonrpc":"2.0","id":"w","result":"done"},{"jsonrpc":"2.0","id":"b","result":4}])");
  EXPECT_THAT(log, ::testing::ElementsAre(1, 2, 3));
  EXPECT_EQ(answer(R"([{"method":"wait"},{"method":"no_such"}])"), "");
  EXPECT_THAT(answer("[[]]"), HasSubstr("a request is an object"));
}

TEST_F(DispatcherTest, ListsMethodsByState) {
  EXPECT_EQ(answer(R"({"method":"rpc_get_methods","params":{"current":true},"id":1})"),
            R"({"jsonrpc":"2.0","id":1,"result":["add","no_device","rpc_get_methods","rpc_get_schema",)"
            R"("throw_early","throw_number","wait"]})");
  dispatcher.set_state(RpcState::startup);
  EXPECT_EQ(answer(R"({"method":"rpc_get_methods","params":{"current":true},"id":1})"),
            R"({"jsonrpc":"2.0","id":1,"result":["rpc_get_methods","rpc_get_schema","start_only"]})");
  EXPECT_THAT(answer(R"({"method":"add","params":{"a":1,"b":2},"id":1})"), HasSubstr(R"("code":-1)"));
  EXPECT_THAT(answer(R"({"method":"rpc_get_schema","id":1})"), HasSubstr(R"("name":"include_aliases")"));
}

TEST_F(DispatcherTest, CallThrowsWhatWentWrong) {
  EXPECT_EQ(block_on(dispatcher.call("add", Json{{"a", 1}, {"b", 2}})), 3);
  try {
    block_on(dispatcher.call("no_device", nullptr));
    FAIL();
  } catch (const RpcError& error) {
    EXPECT_EQ(error.code(), -ENODEV);
  }
}

}  // namespace dispatcher_test
}  // namespace spdkio::rpc
