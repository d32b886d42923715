#include <spdkio/rpc/error.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <new>
#include <stdexcept>

namespace spdkio::rpc {
namespace {

TEST(RpcError, BareErrnoLooksAsSpdkSendsIt) {
  const RpcError error = RpcError::from(Error::from_errno(ENODEV));
  EXPECT_EQ(dump_json(error.to_json()), R"({"code":-19,"message":"No such device"})");
  EXPECT_EQ(RpcError::from(Error(std::errc::file_exists)).code(), -17);
}

TEST(RpcError, CarriesWhatTheErrorKnows) {
  const Error error =
      Error(nvme_sc::lba_out_of_range).with_device("Nvme0n1").with_hint("shrink it").with_outcome(Outcome::aborted);
  const Json json = RpcError::from(error).to_json();
  EXPECT_EQ(json.at("code"), -error.to_errno());
  EXPECT_EQ(json.at("message"), error.what());
  EXPECT_EQ(json.at("data").at("device"), "Nvme0n1");
  EXPECT_EQ(json.at("data").at("nvme_status").at("sct"), 0);
  EXPECT_EQ(json.at("data").at("nvme_status").at("sc"), 0x80);
  EXPECT_EQ(json.at("data").at("hint"), "shrink it");
  EXPECT_EQ(json.at("data").at("outcome"), "aborted");
}

TEST(RpcError, WordsOfSpdkComeFirst) {
  EXPECT_STREQ(RpcError::parse_error("").what(), "Parse error");
  EXPECT_STREQ(RpcError::invalid_request("no method").what(), "Invalid request: no method");
  EXPECT_EQ(RpcError::invalid_params("x").code(), -32602);
  EXPECT_EQ(RpcError::internal("x").code(), -32603);
}

template <class E>
RpcError caught(E exception) {
  try {
    throw exception;
  } catch (...) {
    return RpcError::from_current_exception();
  }
}

TEST(RpcError, AnyExceptionBecomesOne) {
  EXPECT_EQ(caught(RpcError(-1, "state")).code(), -1);
  EXPECT_EQ(caught(Error::from_errno(EBUSY)).code(), -EBUSY);
  EXPECT_EQ(caught(std::system_error(ENOSPC, std::generic_category())).code(), -ENOSPC);
  EXPECT_EQ(caught(std::bad_alloc()).code(), -ENOMEM);
  EXPECT_EQ(caught(std::runtime_error("why")).code(), code::internal_error);
  EXPECT_STREQ(caught(std::runtime_error("why")).what(), "Internal error: why");
  EXPECT_EQ(caught(7).code(), code::internal_error);
}

TEST(RpcError, GoesThroughJsonAndBack) {
  const RpcError error(-22, "bad", Json{{"device", "d"}});
  const auto back = RpcError::from_json(error.to_json());
  ASSERT_TRUE(back);
  EXPECT_EQ(back->to_json(), error.to_json());
  for (const char* text : {"1", "{}", R"({"code":"x","message":""})", R"({"code":1})", R"({"code":1.5,"message":""})",
                           R"({"code":99999999999,"message":""})", R"({"code":18446744073709551615,"message":""})"}) {
    EXPECT_FALSE(RpcError::from_json(*parse_json(text))) << text;
  }
}

TEST(RpcError, AsAnErrorItKeepsItsErrno) {
  EXPECT_EQ(RpcError(-19, "No such device").to_error().to_errno(), ENODEV);
  EXPECT_STREQ(RpcError(-19, "No such device").to_error().what(), "No such device");
  EXPECT_EQ(RpcError(code::invalid_params, "x").to_error().to_errno(), EINVAL);
  EXPECT_EQ(RpcError(code::method_not_found, "x").to_error().to_errno(), ENOSYS);
  EXPECT_EQ(RpcError(code::invalid_state, "x").to_error().to_errno(), EPERM);
  EXPECT_EQ(RpcError(5, "x").to_error().to_errno(), EIO);
  EXPECT_EQ(RpcError(INT_MIN, "x").to_error().to_errno(), EIO);
}

}  // namespace
}  // namespace spdkio::rpc
