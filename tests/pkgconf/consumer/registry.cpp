#include "registry.hpp"

#include <array>
#include <cstring>

namespace toy {
namespace {

constinit std::array<const char*, table_size> table{};

}  // namespace

void enter(const char* name) {
  for (auto& slot : table) {
    if (slot == nullptr) {
      slot = name;
      return;
    }
  }
}

bool entered(const char* name) {
  for (const auto* slot : table) {
    if (slot != nullptr && std::strcmp(slot, name) == 0) {
      return true;
    }
  }
  return false;
}

}  // namespace toy
