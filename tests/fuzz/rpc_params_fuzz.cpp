// Parameters of every type, from any JSON: a result inside its range, or an RpcError that can be sent.

#include <spdkio/rpc/params.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace fuzz {

using namespace spdkio;
using namespace spdkio::rpc;

enum class Mode { read, write };
std::span<const EnumName<Mode>> rpc_names(Mode) {
  static constexpr std::array names{EnumName<Mode>{"read", Mode::read}, EnumName<Mode>{"write", Mode::write}};
  return names;
}

struct Range {
  std::uint64_t first = 0;
  std::int32_t count = 1;
  void fields(Params& p) {
    p.required("first", &first);
    p.optional("count", &count);
  }
};

struct All {
  std::string name;
  bool flag = false;
  std::uint8_t u8 = 0;
  std::uint32_t u32 = 0;
  std::int64_t i64 = 0;
  double real = 0;
  ByteCount size{};
  Uuid uuid{};
  Mode mode = Mode::read;
  std::vector<std::string> names;
  std::optional<Range> range;
  std::vector<Range> ranges;
  Json any;
  void fields(Params& p) {
    p.required("name", &name).optional("flag", &flag).optional("u8", &u8).optional("u32", &u32);
    p.optional("i64", &i64).optional("real", &real).optional("size", &size).optional("uuid", &uuid);
    p.optional("mode", &mode).optional("names", &names).optional("range", &range).optional("ranges", &ranges);
    p.optional("any", &any).check(u8 < 200, "u8", "must be below 200");
  }
};

void require(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

void check_accepted(const Json& json, const All& all) {
  require(json.at("name") == all.name && all.name.find('\0') == std::string::npos, "name");
  require(all.u8 < 200, "u8");
  if (json.contains("u32")) require(json.at("u32") == all.u32, "u32");
  if (json.contains("i64")) require(json.at("i64") == all.i64, "i64");
  if (json.contains("names")) require(json.at("names").size() == all.names.size(), "names");
  if (json.contains("range")) require(all.range && json.at("range").at("first") == all.range->first, "range");
  if (json.contains("uuid")) require(Uuid::parse(all.uuid.to_string()) == all.uuid, "uuid");
}

}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fuzz;
  const auto json = parse_json(std::string_view(reinterpret_cast<const char*>(data), size), request_limits);
  if (!json) return 0;
  All all;
  try {
    Params params("fuzz", *json);
    all.fields(params);
    params.finish();
  } catch (const RpcError& error) {
    require(error.code() == code::invalid_params, "code");
    const auto back = parse_json(dump_json(error.to_json()));
    require(back && back->at("message") == std::string_view(error.what()), "the message is not valid text");
    require(std::string_view(error.what()).size() < 16384, "the message is too long");
    return 0;
  }
  check_accepted(*json, all);
  return 0;
}
