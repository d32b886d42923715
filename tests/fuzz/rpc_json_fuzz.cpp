// JSON texts and JSON-RPC streams. Checked: our parser accepts what nlohmann-json accepts, but for what we refuse on
// purpose, and reads the same value; a stream gives the same values in one piece and cut at every place that the input
// chooses; every request gets an answer of the right shape.

#include <spdkio/rpc/dispatcher.hpp>
#include <spdkio/rpc/json_framer.hpp>
#include <spdkio/runtime/block_on.hpp>
#include <spdkio/runtime/thread.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace spdkio;
using namespace spdkio::rpc;

void require(bool ok, const char* what, std::string_view text) {
  if (ok) return;
  std::fprintf(stderr, "%s: %.*s\n", what, static_cast<int>(text.size()), text.data());
  std::abort();
}

// nlohmann-json skips a byte order mark and takes a NUL for the end of the text.
bool refused_on_purpose(std::string_view message) {
  for (const std::string_view reason : {"duplicate member", "inside each other", "bytes, not more", "values",
                                        "beyond what a double holds", "byte 0xef", "byte 0x00"}) {
    if (message.find(reason) != std::string_view::npos) return true;
  }
  return false;
}

void check_parser(std::string_view text) {
  for (const bool comments : {false, true}) {
    const auto ours = parse_json(text, {}, comments ? JsonComments::allowed : JsonComments::refused);
    if (ours) {
      // nlohmann-json tells a comment that is the whole rest of the text from an empty rest; it has its own idea of it.
      if (!comments) {
        require(Json::accept(text), "accepted what is not JSON", text);
        require(Json::parse(text) == *ours, "read another value", text);
      }
      const auto again = parse_json(dump_json(*ours));
      require(again && *again == *ours, "does not come back after a dump", text);
    } else if (!comments) {
      require(!Json::accept(text) || refused_on_purpose(ours.error().message()), "refused JSON", text);
    }
  }
}

std::vector<std::string> values_of(std::string_view text, std::size_t piece) {
  JsonFramer framer;
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    framer.push(text.substr(at, piece));
    while (true) {
      auto value = framer.next();
      if (!value) {
        out.emplace_back(value.error().message());
        return out;
      }
      if (!*value) break;
      out.push_back(dump_json(**value));
    }
  }
  out.emplace_back(framer.in_value() ? "open" : "closed");
  return out;
}

struct Echo {
  std::string text;
  std::vector<std::uint32_t> numbers;
  void fields(Params& p) {
    p.required("text", &text);
    p.optional("numbers", &numbers);
  }
};

Task<Json> echo(Echo p) { co_return Json(p.text); }

const MethodTable& methods() {
  static const MethodTable* table = [] {
    auto* made = new MethodTable;
    made->add<Echo>("echo", "Give the text back", echo);
    add_rpc_methods(*made, [] { return RpcState::runtime; });
    return made;
  }();
  return *table;
}

void check_answer(const Json& answer) {
  require(answer.is_object() && answer.at("jsonrpc") == "2.0" && answer.contains("id") &&
              answer.contains("result") != answer.contains("error"),
          "not a response", dump_json(answer));
  if (answer.contains("error"))
    require(RpcError::from_json(answer.at("error")).has_value(), "bad error", dump_json(answer));
}

void check_dispatch(std::string_view text) {
  static Dispatcher dispatcher(methods());
  JsonFramer framer;
  framer.push(text);
  while (true) {
    auto message = framer.next();
    if (!message || !*message) return;
    const auto answer = block_on(dispatcher.handle(std::move(**message)));
    if (!answer) continue;
    if (answer->is_array()) {
      for (const Json& one : *answer) check_answer(one);
    } else {
      check_answer(*answer);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Thread thread = Thread::attach("fuzz");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_parser(text);
  const auto whole = values_of(text, size + 1);
  const std::size_t piece = size == 0 ? 1 : data[size / 2] % 7 + 1;
  require(values_of(text, piece) == whole, "another result in pieces", text);
  check_dispatch(text);
  return 0;
}
