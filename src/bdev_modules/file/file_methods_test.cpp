// The RPC methods, as SPDK's own clients call them.

#include <spdkio/rpc/error.hpp>
#include <spdkio/rpc/method_table.hpp>

#include "bdev_modules/file/file_test_fixture.hpp"

namespace spdkio::bdev::file::test {
namespace {

using ::testing::HasSubstr;

class FileMethodsTest : public FileTestBase {
 protected:
  FileMethodsTest() { register_file_methods(table_); }
  Json call(const std::string& method, const Json& params) {
    const auto& found = table_.require(method, rpc::RpcState::runtime);
    return block_on(found.handler(params));
  }
  /// Code and text of the refusal, as a client sees it.
  rpc::RpcError refusal(const std::string& method, const Json& params) {
    try {
      call(method, params);
    } catch (...) {
      return rpc::RpcError::from_current_exception();
    }
    ADD_FAILURE() << method << " was expected to fail";
    return {0, ""};
  }
  rpc::MethodTable table_;
};

TEST_F(FileMethodsTest, AioAsSpdkShowsIt) {
  const std::string file = make_file("disk", 1 << 20);
  const Json params{{"name", "Aio0"},
                    {"filename", file},
                    {"block_size", 4096},
                    {"readonly", true},
                    {"uuid", "6b2ab9a0-5dfb-4d62-9c3f-2f0b0f2a5d11"}};
  EXPECT_EQ(call("bdev_aio_create", params), Json("Aio0"));
  const auto bdev = Bdev::find("Aio0");
  ASSERT_TRUE(bdev);
  EXPECT_EQ(bdev->product_name(), "AIO disk");
  EXPECT_EQ(bdev->uuid().to_string(), "6b2ab9a0-5dfb-4d62-9c3f-2f0b0f2a5d11");
  EXPECT_EQ(bdev->num_blocks(), BlockCount{256});
  const Json info = bdev->state()->driver_specific();
  EXPECT_EQ(info.at("aio").at("filename"), file);
  EXPECT_EQ(info.at("aio").at("readonly"), true);
  EXPECT_EQ(info.at("aio").at("block_size_override"), true);
  EXPECT_EQ(info.at("aio").at("fallocate"), true);
  EXPECT_EQ(info.at("aio").at("nowait"), false);
  EXPECT_EQ(call("bdev_aio_rescan", {{"name", "Aio0"}}), Json(true));
  EXPECT_EQ(call("bdev_aio_delete", {{"name", "Aio0"}}), Json(true));
  EXPECT_FALSE(Bdev::find("Aio0"));
}

TEST_F(FileMethodsTest, UringAsSpdkShowsIt) {
  const std::string file = make_file("disk", 1 << 20);
  EXPECT_EQ(call("bdev_uring_create", {{"name", "Uring0"}, {"filename", file}, {"block_size", 512}}), Json("Uring0"));
  const auto bdev = Bdev::find("Uring0");
  ASSERT_TRUE(bdev);
  EXPECT_EQ(bdev->product_name(), "URING bdev");
  EXPECT_EQ(bdev->state()->driver_specific().at("uring").at("filename"), file);
  EXPECT_EQ(::truncate(file.c_str(), 2 << 20), 0);
  EXPECT_EQ(call("bdev_uring_rescan", {{"name", "Uring0"}}), Json(true));
  EXPECT_EQ(bdev->size().value, 2u << 20);
  EXPECT_EQ(refusal("bdev_aio_delete", {{"name", "Uring0"}}).code(), -ENODEV) << "another module's, as in SPDK";
  EXPECT_EQ(refusal("bdev_aio_rescan", {{"name", "Uring0"}}).code(), -ENODEV);
  EXPECT_EQ(call("bdev_uring_delete", {{"name", "Uring0"}}), Json(true));
}

TEST_F(FileMethodsTest, TheSavedConfigurationMakesTheSameDevice) {
  const std::string file = make_file("disk", (1 << 20) + 100);
  const Json requests[] = {
      {{"method", "bdev_aio_create"}, {"params", {{"name", "A"}, {"filename", file}, {"round_down", true}}}},
      {{"method", "bdev_uring_create"},
       {"params",
        {{"name", "A"},
         {"filename", file},
         {"round_down", true},
         {"rest_expected", true},
         {"direct", "off"},
         {"backend", "threads"},
         {"fallocate", false},
         {"readonly", true}}}}};
  for (const Json& request : requests) {
    call(request.at("method"), request.at("params"));
    const Json saved = Bdev::find("A")->state()->config();
    const std::string uuid = Bdev::find("A")->uuid().to_string();
    const bool unmaps = Bdev::find("A")->supports(IoType::unmap);
    block_on(delete_file("A"));
    call(saved.at("method"), saved.at("params"));
    EXPECT_EQ(Json(Bdev::find("A")->state()->config()), saved);
    EXPECT_EQ(Bdev::find("A")->uuid().to_string(), uuid);
    EXPECT_EQ(Bdev::find("A")->supports(IoType::unmap), unmaps);
    block_on(delete_file("A"));
  }
}

TEST_F(FileMethodsTest, WithoutFallocateNothingIsUnmapped) {
  call("bdev_aio_create", {{"name", "A"}, {"filename", make_file("disk", 1 << 20)}, {"fallocate", false}});
  EXPECT_FALSE(Bdev::find("A")->supports(IoType::unmap));
  EXPECT_FALSE(Bdev::find("A")->supports(IoType::write_zeroes));
}

TEST_F(FileMethodsTest, Refusals) {
  const std::string file = make_file("disk", 1 << 20);
  const auto nowhere = refusal("bdev_aio_create", {{"name", "A"}, {"filename", path("missing")}});
  EXPECT_EQ(nowhere.code(), -ENOENT);
  EXPECT_THAT(nowhere.to_error().context(), ::testing::Contains("opening the file " + path("missing")));
  EXPECT_EQ(refusal("bdev_aio_create", {{"name", "A"}, {"filename", file}, {"block_size", 1000}}).code(), -EINVAL);
  EXPECT_EQ(refusal("bdev_aio_create", {{"name", "A"}, {"filename", file}, {"nowait", true}}).code(), -EOPNOTSUPP);
  call("bdev_aio_create", {{"name", "A"}, {"filename", file}});
  EXPECT_EQ(refusal("bdev_aio_create", {{"name", "A"}, {"filename", file}}).code(), -EEXIST);
  EXPECT_EQ(refusal("bdev_aio_delete", {{"name", "B"}}).code(), -ENODEV);
  EXPECT_EQ(refusal("bdev_uring_rescan", {{"name", "B"}}).code(), -ENODEV);

  const auto uring = refusal("bdev_uring_create", {{"name", "C"}, {"filename", path("missing")}});
  EXPECT_EQ(uring.code(), rpc::code::internal_error);
  EXPECT_THAT(uring.what(), ::testing::StartsWith("Unable to create URING bdev."));
  EXPECT_THAT(uring.what(), HasSubstr(path("missing")));

  const auto missing = refusal("bdev_aio_create", {{"name", "D"}});
  EXPECT_EQ(missing.code(), rpc::code::invalid_params);
  EXPECT_THAT(missing.what(), HasSubstr("filename"));
  EXPECT_THAT(refusal("bdev_aio_create", {{"name", "D"}, {"filename", file}, {"direct", "maybe"}}).what(),
              HasSubstr("maybe"));
  EXPECT_THAT(refusal("bdev_uring_create", {{"name", "D"}, {"filename", file}, {"size", 1}}).what(), HasSubstr("size"));
}

}  // namespace
}  // namespace spdkio::bdev::file::test
