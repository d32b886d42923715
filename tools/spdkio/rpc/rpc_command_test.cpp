
#include "spdkio/rpc/rpc_command.hpp"

#include "spdkio/cli/failure.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace spdkio::tool {
namespace {

std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const Failure& failure) {
    return failure.what();
  }
  return "no failure";
}

TEST(RpcParams, WordsOrJson) {
  EXPECT_EQ(params_from_words({}), nullptr);
  EXPECT_EQ(params_from_words({"name=Malloc0", "num_blocks=8", "deep=[1]", "eq=a=b", "empty="}),
            Json::parse(R"({"name":"Malloc0","num_blocks":8,"deep":[1],"eq":"a=b","empty":""})"));
  EXPECT_EQ(params_from_words({R"({"a":1})"}), Json::parse(R"({"a":1})"));
  EXPECT_NE(refusal([] { params_from_words({"{"}); }).find("not JSON"), std::string::npos);
  EXPECT_NE(refusal([] { params_from_words({"{}", "a=1"}); }).find("not both"), std::string::npos);
  EXPECT_NE(refusal([] { params_from_words({"word"}); }).find("'word' is not key=value"), std::string::npos);
  EXPECT_NE(refusal([] { params_from_words({"a=1", "a=2"}); }).find("given twice"), std::string::npos);
}

}  // namespace
}  // namespace spdkio::tool
