#include <spdkio/rpc/json_framer.hpp>

#include "rpc/json_reader.hpp"

namespace spdkio::rpc {

struct JsonFramer::State {
  explicit State(const JsonLimits& limits) : reader(limits, JsonComments::refused) {}
  JsonReader reader;
  std::string pending;
  std::size_t taken = 0;
};

JsonFramer::JsonFramer(const JsonLimits& limits) : state_(std::make_unique<State>(limits)) {}
JsonFramer::~JsonFramer() = default;
JsonFramer::JsonFramer(JsonFramer&&) noexcept = default;
JsonFramer& JsonFramer::operator=(JsonFramer&&) noexcept = default;

void JsonFramer::push(std::string_view bytes) {
  State& state = *state_;
  if (state.reader.failed()) return;
  state.pending.erase(0, state.taken);
  state.taken = 0;
  state.pending.append(bytes);
}

Result<std::optional<Json>> JsonFramer::next() {
  State& state = *state_;
  state.taken += state.reader.feed(std::string_view(state.pending).substr(state.taken));
  if (state.reader.failed()) return std::unexpected(Error(Misuse::invalid_argument, state.reader.error()));
  if (!state.reader.complete()) return std::optional<Json>{};
  return std::optional<Json>(state.reader.take());
}

bool JsonFramer::in_value() const { return state_->reader.in_value(); }

}  // namespace spdkio::rpc
