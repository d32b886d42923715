#include <spdkio/app/env.hpp>

#include <spdkio/bdev/bdev.hpp>
#include <spdkio/bdev_modules/malloc.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/thread.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "app/app_test_support.hpp"

namespace spdkio::app {
namespace {

using testing::HasSubstr;

template <class F>
Error error_of(F&& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(Misuse::invalid_argument);
}

TEST(Env, StartsAndStopsManyTimesInOneProcess) {
  for (int i = 0; i < 50; ++i) {
    EnvOptions options = test_env_options();
    options.reactors = i % 2 == 0;
    Env env = Env::start(options);
    EXPECT_EQ(env.engine().name(), "embedded");
    EXPECT_EQ(env.cores().size(), options.reactors ? 1u : 0u);
    const DmaBuf buffer{4096};
    EXPECT_EQ(buffer.size(), 4096u);
    if (options.reactors) Thread::create("t").close();
  }
}

TEST(Env, TellsWhatItIs) {
  const Env env = Env::start({.name = "shown", .no_huge = true});
  EXPECT_EQ(env.name(), "shown");
  EXPECT_EQ(env.options().engine, "embedded");
  EXPECT_TRUE(env.engine().capabilities().restart_in_process);
  EXPECT_TRUE(env.engine().capabilities().sleeps_when_idle);
  EXPECT_FALSE(env.engine().capabilities().needs_hugepages);
  EXPECT_THAT(env.engine().version(), HasSubstr("embedded"));
  EXPECT_FALSE(env.memory().hugepages);
  EXPECT_EQ(&engine::Engine::current(), &env.engine());
}

TEST(Env, SecondOneIsRefusedWhileOneRuns) {
  Env env = Env::start(test_env_options());
  const Error error = error_of([] { Env::start(test_env_options()); });
  EXPECT_EQ(error.code(), make_error_code(Misuse::already_started));
  EXPECT_EQ(&engine::Engine::current(), &env.engine());
  env.stop();
  EXPECT_NO_THROW(Env::start(test_env_options()));
}

TEST(Env, FailedStartLeavesRoomForTheNext) {
  EXPECT_THROW(Env::start({.core_mask = "nonsense", .no_huge = true}), Error);
  EXPECT_THROW(Env::start({.no_huge = true, .engine = "steam"}), Error);
  EXPECT_NO_THROW(Env::start(test_env_options()));
}

TEST(Env, StopIsIdempotentAndFinal) {
  Env env = Env::start(test_env_options());
  env.stop();
  env.stop();
  EXPECT_TRUE(env.stopped());
  EXPECT_EQ(error_of([&] { env.engine(); }).code(), make_error_code(Misuse::not_started));
  EXPECT_EQ(error_of([&] { env.memory(); }).code(), make_error_code(Misuse::not_started));
  EXPECT_EQ(engine::Engine::current_or_null(), nullptr);
}

TEST(Env, Moves) {
  Env first = Env::start(test_env_options());
  Env second = std::move(first);
  EXPECT_TRUE(first.stopped());
  EXPECT_FALSE(second.stopped());
  EXPECT_EQ(&engine::Engine::current(), &second.engine());
}

TEST(Env, CoresThatDoNotExistAreNamed) {
  const Error error = error_of([] { Env::start({.core_mask = "[0,1022]", .no_huge = true}); });
  EXPECT_EQ(error.code(), make_error_code(Misuse::invalid_argument));
  EXPECT_THAT(error.what(), HasSubstr("[1022]"));
  EXPECT_THAT(error.what(), HasSubstr("while starting the engine 'embedded'"));
}

TEST(Env, UnknownEngineIsAnsweredWithTheKnownOnes) {
  const Error error = error_of([] { Env::start({.no_huge = true, .engine = "steam"}); });
  EXPECT_THAT(error.what(), HasSubstr("'steam'"));
  for (const std::string& name : Env::engines()) EXPECT_THAT(error.what(), HasSubstr("'" + name + "'"));
}

TEST(Env, EngineOfTheEnvironmentVariableCountsWhenNoneIsGiven) {
  const WithEnvironment variable("SPDKIO_ENGINE", "steam");
  EXPECT_THAT(error_of([] { Env::start(test_env_options()); }).what(), HasSubstr("SPDKIO_ENGINE"));
  EXPECT_NO_THROW(Env::start({.no_huge = true, .engine = "embedded"}));
}

TEST(Env, EngineThatIsNotInstalledSaysWhereItWasLookedFor) {
  const TemporaryFolder folder;
  const WithEnvironment variable("SPDKIO_ENGINE_PATH", folder.file("engines").c_str());
  const Error error = error_of([] { Env::start({.no_huge = true, .engine = "spdk"}); });
  EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
  EXPECT_THAT(error.what(), HasSubstr("not installed"));
  EXPECT_THAT(error.what(), HasSubstr(folder.file("engines")));
}

TEST(Env, FileThatIsNoEngineModuleIsRefused) {
  const TemporaryFolder folder;
  std::FILE* file = std::fopen(folder.file("libspdkio-engine-spdk.so").c_str(), "w");
  std::fputs("not a shared object", file);
  std::fclose(file);
  const WithEnvironment variable("SPDKIO_ENGINE_PATH", folder.file("").c_str());
  const Error error = error_of([] { Env::start({.no_huge = true, .engine = "spdk"}); });
  EXPECT_EQ(error.code(), make_error_code(Misuse::invalid_argument));
  EXPECT_THAT(error.what(), HasSubstr("libspdkio-engine-spdk.so"));
}

Task<> make_disk() {
  bdev::MallocOptions options{.name = "Malloc0", .num_blocks = 64};
  co_await bdev::create_malloc(options);
}

TEST(Env, StopRemovesTheBlockDevices) {
  for (const bool reactors : {false, true}) {
    CapturedLog log;
    EnvOptions options = test_env_options();
    options.reactors = reactors;
    Env env = Env::start(options);
    block_on(make_disk());
    EXPECT_TRUE(Bdev::find("Malloc0"));
    env.stop();
    EXPECT_EQ(log.text(), "");
  }
}

TEST(Env, StopOnAReactorIsRefused) {
  EnvOptions options = test_env_options();
  options.reactors = true;
  Env env = Env::start(options);
  Thread thread = Thread::create("t");
  const auto stop = [&]() -> Task<> {
    env.stop();
    co_return;
  };
  auto handle = thread.spawn(stop());
  EXPECT_EQ(error_of([&] { handle.wait(); }).code(), make_error_code(Misuse::would_block));
  EXPECT_FALSE(env.stopped());
}

TEST(Env, WithoutReactorsAnAttachedThreadDoesTheWork) {
  const Env env = Env::start(test_env_options());
  Thread thread = Thread::attach("own");
  block_on(make_disk());
  EXPECT_TRUE(Bdev::find("Malloc0"));
  EXPECT_THAT(error_of([] { Thread::create("t"); }).what(), HasSubstr("without reactors"));
  thread.close();
}

TEST(Env, MissingHugepagesAreOneLineInTheLog) {
  CapturedLog log;
  Env env = Env::start({.name = "test", .mem_size = 4096});
  const std::string text = log.text();
  const bool fell_back = !env.memory().hugepages;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), fell_back ? 1 : 0) << text;
  const DmaBuf buffer{4096};
  EXPECT_NE(buffer.data(), nullptr);
}

}  // namespace
}  // namespace spdkio::app
