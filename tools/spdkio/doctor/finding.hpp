// What a check found: how it stands, what that means for the user, and the command that changes it.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace spdkio::tool {

enum class Level {
  ok,       ///< as it should be
  warn,     ///< works, but slower or with limits
  missing,  ///< what depends on it does not work
};

std::string_view to_string(Level level);

struct Finding {
  std::string id;  ///< stable name for scripts: "io_uring", "hugepages"
  Level level = Level::ok;
  std::string title;    ///< "Hugepages"
  std::string value;    ///< what is there: "512 x 2 MiB, 512 free"
  std::string meaning;  ///< what the user gets or loses; empty where the value says it all
  std::string fix;      ///< a command to paste; empty if nothing needs fixing or nothing can
  nlohmann::ordered_json data = nlohmann::ordered_json::object();  ///< the same facts for programs
};

struct Section {
  std::string title;
  std::vector<Finding> findings;
};

}  // namespace spdkio::tool
