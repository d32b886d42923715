// Which engine answers. Everything else here is worth nothing if it is not the one that was asked for.

#include "conformance_fixture.hpp"

namespace spdkio::conformance {
namespace {

class EngineNameTest : public EngineTest {};

TEST_F(EngineNameTest, IsTheOneThatWasAskedFor) {
  const char* asked = ::getenv("SPDKIO_ENGINE");
  const std::string expected = asked != nullptr && *asked != '\0' ? asked : "embedded";
  EXPECT_EQ(env_->engine().name(), expected);
  EXPECT_FALSE(env_->engine().version().empty());
}

}  // namespace
}  // namespace spdkio::conformance
