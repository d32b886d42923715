// Opening: what is accepted, how it is understood, and how refusals read.

#include "bdev_modules/file/backing_file.hpp"

#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bdev_modules/file/direct_io.hpp"
#include "bdev_modules/file/file_test_fixture.hpp"

namespace spdkio::bdev::file::test {
namespace {

using ::testing::HasSubstr;

/// For root, who may open everything: lets the calling OS thread open files as nobody does, until it goes.
class NobodyHere {
 public:
  explicit NobodyHere(const std::string& folder) { EXPECT_EQ(::chmod(folder.c_str(), 0755), 0); }
  NobodyHere(const NobodyHere&) = delete;
  NobodyHere& operator=(const NobodyHere&) = delete;
  ~NobodyHere() { ::setfsuid(::geteuid()); }
  void begin() const {
    constexpr uid_t nobody = 65534;
    if (::geteuid() == 0) ::setfsuid(nobody);
  }
};

class BackingFileTest : public FileTestBase {
 protected:
  static std::shared_ptr<BackingFile> open(const FileOptions& options) {
    return BackingFile::open(FileSettings(options));
  }
  static Error refusal(const FileOptions& options) {
    try {
      open(options);
    } catch (const Error& error) {
      EXPECT_EQ(error.operation(), "create_file");
      EXPECT_EQ(error.device(), options.name);
      EXPECT_FALSE(error.hint().empty()) << error.what();
      if (!options.name.empty()) {
        EXPECT_THAT(error.what(), HasSubstr(std::string(options.filename)));
      }
      return error;
    }
    ADD_FAILURE() << "expected a refusal of '" << options.filename << "'";
    return Error(std::errc::state_not_recoverable);
  }
};

TEST_F(BackingFileTest, WhatIsNoFile) {
  EXPECT_EQ(refusal({.name = "F", .filename = path("missing")}).code(), std::errc::no_such_file_or_directory);
  EXPECT_EQ(refusal({.name = "F", .filename = make_file("disk", 4096) + "/below"}).code().value(), ENOTDIR);

  const auto misused = [&](const std::string& filename, const char* what) {
    const Error error = refusal({.name = "F", .filename = filename});
    EXPECT_EQ(error.code(), Misuse::invalid_argument);
    EXPECT_THAT(error.what(), HasSubstr(what));
  };
  misused(folder_, "a directory");
  misused("/dev/null", "a character device");
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0644), 0);
  misused(path("pipe"), "a pipe");
  misused(make_file("empty", 0), "is empty");

  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path("socket").copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  misused(path("socket"), "a socket");

  EXPECT_THAT(refusal({.name = "F", .filename = ""}).what(), HasSubstr("no filename"));
  EXPECT_THAT(refusal({.name = "", .filename = make_file("disk", 4096)}).what(), HasSubstr("needs a name"));
}

TEST_F(BackingFileTest, AFileWithoutPermission) {
  const NobodyHere nobody(folder_);
  const std::string file = make_file("disk", 4096);
  ASSERT_EQ(::chmod(file.c_str(), 0444), 0);
  nobody.begin();
  EXPECT_EQ(refusal({.name = "F", .filename = file}).code(), std::errc::permission_denied);
  EXPECT_NE(open({.name = "F", .filename = file, .read_only = true}), nullptr);
}

TEST_F(BackingFileTest, BlockSizes) {
  const std::string file = make_file("disk", 1 << 20);
  for (const std::uint32_t impossible : {1u, 256u, 511u, 513u, 1000u, 4095u, 0x80000001u}) {
    const Error error = refusal({.name = "F", .filename = file, .block_size = impossible});
    EXPECT_EQ(error.code(), Misuse::invalid_argument);
    EXPECT_THAT(error.what(), HasSubstr(std::to_string(impossible)));
  }
  EXPECT_EQ(open({.name = "F", .filename = file, .block_size = 8192})->block_size(), 8192u);
  const auto detected = open({.name = "F", .filename = file});
  EXPECT_GE(detected->block_size(), 512u);
  EXPECT_GE(detected->block_size(), detected->alignment());
  EXPECT_GE(detected->physical_block_size(), detected->block_size());
}

TEST_F(BackingFileTest, SizesThatAreNoWholeNumberOfBlocks) {
  const std::string odd = make_file("odd", 10'000);
  const Error error = refusal({.name = "F", .filename = odd, .block_size = 4096});
  EXPECT_EQ(error.code(), Misuse::invalid_argument);
  EXPECT_THAT(error.what(), HasSubstr("10000 bytes"));
  EXPECT_THAT(error.hint(), HasSubstr("12288"));
  EXPECT_EQ(open({.name = "F", .filename = odd, .block_size = 4096, .round_down = true})->size_at_open(), 10'000u);
  EXPECT_THAT(log_text(), HasSubstr("1808 bytes"));
  const std::string logged = log_text();
  open({.name = "F", .filename = odd, .block_size = 4096, .round_down = true, .rest_expected = true});
  EXPECT_EQ(log_text(), logged) << "nothing to warn of";
  EXPECT_EQ(refusal({.name = "F", .filename = make_file("tiny", 100), .round_down = true}).code(),
            Misuse::invalid_argument);

  const auto sectors = open({.name = "F", .filename = make_file("sectors", 3 * 512)});
  EXPECT_EQ(sectors->block_size(), 512u);
}

TEST_F(BackingFileTest, DirectIo) {
  const std::string file = make_file("disk", 1 << 20);
  EXPECT_FALSE(open({.name = "F", .filename = file, .direct = DirectIo::off})->direct());
  const UniqueFd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  const std::uint32_t needed = direct_io_alignment(fd.get());
  if (needed == 0) {
    EXPECT_THAT(refusal({.name = "F", .filename = file, .direct = DirectIo::on}).what(), HasSubstr("direct I/O"));
    return;
  }
  EXPECT_EQ(open({.name = "F", .filename = file, .direct = DirectIo::on})->alignment(), needed);
  EXPECT_EQ(open({.name = "F", .filename = file})->alignment(), needed);
  if (needed > 512) {
    const Error error = refusal({.name = "F", .filename = file, .block_size = 512, .direct = DirectIo::on});
    EXPECT_THAT(error.hint(), HasSubstr(std::to_string(needed)));
    EXPECT_FALSE(open({.name = "F", .filename = file, .block_size = 512})->direct()) << "automatic gives way";
  }
}

TEST_F(BackingFileTest, ProbingFindsAnAlignmentThatWorks) {
  const std::string file = make_file("disk", 1 << 20);
  const UniqueFd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  const int flags = ::fcntl(fd.get(), F_GETFL);
  const std::uint32_t probed = probe_direct_io_alignment(fd.get());
  EXPECT_EQ(::fcntl(fd.get(), F_GETFL), flags);
  EXPECT_EQ(probed != 0, direct_io_alignment(fd.get()) != 0);
  if (probed == 0) return;
  ASSERT_EQ(::fcntl(fd.get(), F_SETFL, flags | O_DIRECT), 0);
  DmaBuf buffer{2 * probed, {.alignment = 2 * probed}};
  EXPECT_EQ(::pread(fd.get(), buffer.data() + probed, probed, probed), static_cast<ssize_t>(probed));
}

TEST_F(BackingFileTest, NowaitIsForBlockDevices) {
  const Error error = refusal({.name = "F", .filename = make_file("disk", 4096), .nowait = true});
  EXPECT_EQ(error.to_errno(), EOPNOTSUPP);
}

}  // namespace
}  // namespace spdkio::bdev::file::test
