#include <spdkio/engine/engine.hpp>

#include <gtest/gtest.h>

#include "engine/fake_engine.hpp"

namespace spdkio::engine {
namespace {

TEST(Engine, CurrentIsTheOneThatRuns) {
  EXPECT_EQ(Engine::current_or_null(), nullptr);
  try {
    Engine::current();
    FAIL() << "there is none";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Misuse::not_started);
    EXPECT_FALSE(error.hint().empty());
  }
  {
    FakeEngine engine;
    EXPECT_EQ(&Engine::current(), &engine);
  }
  EXPECT_EQ(Engine::current_or_null(), nullptr);
}

}  // namespace
}  // namespace spdkio::engine
