#include "engine/linked_engine.hpp"

#include <utility>

namespace spdkio::engine {
namespace {

// Set before any constructor runs, whichever object file comes first.
constinit const LinkedEngine* first = nullptr;

}  // namespace

LinkedEngine::LinkedEngine(std::string_view name, StartEngine* start) noexcept
    : name_(name), start_(start), next_(std::exchange(first, this)) {}

StartEngine* LinkedEngine::find(std::string_view name) noexcept {
  for (const LinkedEngine* engine = first; engine != nullptr; engine = engine->next_) {
    if (engine->name_ == name) return engine->start_;
  }
  return nullptr;
}

}  // namespace spdkio::engine
