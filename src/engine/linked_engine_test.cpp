#include "engine/linked_engine.hpp"

#include <gtest/gtest.h>

namespace spdkio::engine {
namespace {

Engine* start_steam(const char*, const EnvOptions&, bool) { return nullptr; }
Engine* start_water(const char*, const EnvOptions&, bool) { return nullptr; }

const LinkedEngine steam{"steam", start_steam};
const LinkedEngine water{"water", start_water};

TEST(LinkedEngine, AnswersToItsNameAlone) {
  EXPECT_EQ(LinkedEngine::find("steam"), &start_steam);
  EXPECT_EQ(LinkedEngine::find("water"), &start_water);
  EXPECT_EQ(LinkedEngine::find("wind"), nullptr);
  EXPECT_EQ(LinkedEngine::find(""), nullptr);
}

}  // namespace
}  // namespace spdkio::engine
