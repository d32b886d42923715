#include <spdkio/rpc/method_table.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spdkio::rpc {
namespace method_table_test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Create {
  std::string name;
  std::uint32_t block_size = 512;
  void fields(Params& p) {
    p.required("name", &name, "Name of the disk");
    p.optional("block_size", &block_size, "Bytes in a block");
  }
};

Task<Json> create(Create wanted) { co_return Json(wanted.name); }
Task<Json> nothing() { co_return Json(true); }

MethodTable table() {
  MethodTable out;
  out.add<Create>("disk_create", "Create a disk", create);
  out.add("framework_start_init", "Start", nothing, RpcStates::startup);
  out.add({.name = "disk_list",
           .help = "List disks",
           .states = RpcStates::always,
           .params = {},
           .aliases = {"get_disks"},
           .handler = [](const Json&) { return nothing(); }});
  return out;
}

std::string error_of(const MethodTable& table, std::string_view name, RpcState state, int code) {
  try {
    table.require(name, state);
  } catch (const RpcError& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  return "found";
}

TEST(MethodTable, FindsByNameAndAlias) {
  const MethodTable t = table();
  ASSERT_NE(t.find("disk_list"), nullptr);
  EXPECT_EQ(t.find("get_disks"), t.find("disk_list"));
  EXPECT_EQ(t.find("disk"), nullptr);
}

TEST(MethodTable, UnknownNamesGetASuggestion) {
  const MethodTable t = table();
  EXPECT_EQ(error_of(t, "disk_craete", RpcState::runtime, code::method_not_found),
            "Method not found: \"disk_craete\", did you mean \"disk_create\"?");
  EXPECT_EQ(error_of(t, "something_else", RpcState::runtime, code::method_not_found),
            "Method not found: \"something_else\"");
  EXPECT_EQ(error_of(t, "", RpcState::runtime, code::method_not_found), "Method not found: \"\"");
}

TEST(MethodTable, StatesAreKept) {
  const MethodTable t = table();
  EXPECT_EQ(error_of(t, "framework_start_init", RpcState::startup, 0), "found");
  EXPECT_THAT(error_of(t, "framework_start_init", RpcState::runtime, code::invalid_state), HasSubstr("before"));
  EXPECT_THAT(error_of(t, "disk_create", RpcState::startup, code::invalid_state), HasSubstr("framework_start_init"));
  EXPECT_EQ(error_of(t, "disk_list", RpcState::startup, 0), "found");
  EXPECT_THAT(t.names(), ElementsAre("disk_create", "disk_list", "framework_start_init"));
  EXPECT_THAT(t.names(true), ElementsAre("disk_create", "disk_list", "framework_start_init", "get_disks"));
  EXPECT_THAT(t.names(true, RpcState::runtime), ElementsAre("disk_create", "disk_list", "get_disks"));
}

TEST(MethodTable, NamesAreTakenOnce) {
  MethodTable t = table();
  const auto handler = [](const Json&) { return nothing(); };
  EXPECT_THROW(t.add("disk_create", "", nothing), Error);
  EXPECT_THROW(t.add("get_disks", "", nothing), Error);
  EXPECT_THROW(t.add({.name = "x", .help = "", .params = {}, .aliases = {"disk_create"}, .handler = handler}), Error);
  EXPECT_THROW(t.add({.name = "x", .help = "", .params = {}, .aliases = {"x"}, .handler = handler}), Error);
  EXPECT_THROW(t.add({.name = "x", .help = "", .params = {}, .aliases = {"y", "y"}, .handler = handler}), Error);
  EXPECT_THROW(t.add({.name = "x", .help = "", .params = {}, .handler = {}}), Error);
  EXPECT_EQ(t.find("x"), nullptr);
  EXPECT_EQ(t.find("y"), nullptr);
  EXPECT_NO_THROW(t.add({.name = "x", .help = "", .params = {}, .aliases = {"y"}, .handler = handler}));
}

TEST(MethodTable, AllowListHidesTheRest) {
  MethodTable t = table();
  EXPECT_THROW(t.allow_only({"disk_lsit"}), Error);
  t.allow_only({"disk_list"});
  EXPECT_THAT(t.names(true), ElementsAre("disk_list"));
  EXPECT_EQ(t.find("disk_create"), nullptr);
  EXPECT_EQ(t.find("get_disks"), nullptr);
  EXPECT_EQ(t.schema().at("methods").size(), 1);
}

TEST(MethodTable, DescribesItself) {
  const MethodTable t = table();
  EXPECT_EQ(dump_json(t.schema().at("methods").at(0)),
            R"({"name":"disk_create","description":"Create a disk","params":[)"
            R"({"name":"name","type":"string","required":true,"description":"Name of the disk"},)"
            R"({"name":"block_size","type":"uint32","default":512,"description":"Bytes in a block"}]})");
  EXPECT_EQ(describe_method(*t.find("disk_create")),
            "disk_create\n"
            "  Create a disk\n"
            "  Parameters:\n"
            "    name        string  Name of the disk (required)\n"
            "    block_size  uint32  Bytes in a block (default 512)\n");
  EXPECT_THAT(describe_method(*t.find("disk_list")), HasSubstr("Also called get_disks"));
}

}  // namespace method_table_test
}  // namespace spdkio::rpc
