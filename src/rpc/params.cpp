#include <spdkio/rpc/params.hpp>

#include <spdkio/base/byte_size.hpp>

#include "rpc/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace spdkio::rpc {
namespace {

constexpr std::size_t problems_kept = 64;
constexpr std::size_t problems_shown = 8;
// Beyond it a double no longer holds every whole number, and what was written is not known.
constexpr double exact_in_double = 9007199254740992.0;

std::string describe(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null: return "null";
    case Json::value_t::boolean: return value.get<bool>() ? "boolean true" : "boolean false";
    case Json::value_t::string: return fmt::format("string {}", in_quotes(value.get_ref<const std::string&>()));
    case Json::value_t::array: return "an array";
    case Json::value_t::object: return "an object";
    default: return fmt::format("number {}", dump_json(value));
  }
}

bool is_whole(const Json& value) {
  if (!value.is_number_float()) return value.is_number_integer();
  const auto number = value.get<double>();
  return std::trunc(number) == number && std::abs(number) <= exact_in_double;
}

}  // namespace

void FieldContext::mismatch(std::string_view expected, const Json& found) {
  problem(fmt::format("expected {}, found {}", expected, describe(found)));
}

void FieldContext::problem(std::string_view text) {
  problems_->push_back(problems_->size() < problems_kept ? fmt::format("\"{}\": {}", path_, text) : std::string{});
}

FieldContext FieldContext::element(std::size_t index) const {
  return {fmt::format("{}[{}]", path_, index), *problems_};
}

FieldContext FieldContext::member(std::string_view name) const {
  return {path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name), *problems_};
}

void JsonField<std::string>::read(const Json& value, std::string& out, FieldContext& context) {
  if (!value.is_string()) return context.mismatch(type(), value);
  const auto& text = value.get_ref<const std::string&>();
  if (text.find('\0') != std::string::npos) return context.problem("a string may not hold a NUL character");
  out = text;
}

void JsonField<bool>::read(const Json& value, bool& out, FieldContext& context) {
  if (!value.is_boolean()) return context.mismatch(type(), value);
  out = value.get<bool>();
}

void JsonField<double>::read(const Json& value, double& out, FieldContext& context) {
  if (!value.is_number()) return context.mismatch(type(), value);
  out = value.get<double>();
}

void JsonField<ByteCount>::read(const Json& value, ByteCount& out, FieldContext& context) {
  if (value.is_string()) {
    try {
      out = parse_byte_size(value.get_ref<const std::string&>());
    } catch (const Error& error) {
      context.problem(error.message());
    }
    return;
  }
  std::uint64_t number = 0;
  if (detail::read_unsigned(value, UINT64_MAX, "size in bytes or a string such as \"64MiB\"", number, context)) {
    out = ByteCount{number};
  }
}

void JsonField<Uuid>::read(const Json& value, Uuid& out, FieldContext& context) {
  if (!value.is_string()) return context.mismatch(type(), value);
  try {
    out = Uuid::parse(value.get_ref<const std::string&>());
  } catch (const Error& error) {
    context.problem(error.message());
  }
}

namespace detail {

bool read_unsigned(const Json& value, std::uint64_t max, std::string_view type, std::uint64_t& out,
                   FieldContext& context) {
  if (!value.is_number()) {
    context.mismatch(type, value);
    return false;
  }
  if (value.is_number_float() && !is_whole(value) && std::abs(value.get<double>()) <= exact_in_double) {
    context.problem(fmt::format("expected {}, {} is not a whole number", type, dump_json(value)));
    return false;
  }
  const bool negative =
      value.is_number_float() ? value.get<double>() < 0 : !value.is_number_unsigned() && value.get<std::int64_t>() < 0;
  if (negative || !is_whole(value) || value.get<std::uint64_t>() > max) {
    context.problem(fmt::format("{} is out of range, {} is 0 to {}", dump_json(value), type, max));
    return false;
  }
  out = value.get<std::uint64_t>();
  return true;
}

bool read_signed(const Json& value, std::int64_t min, std::int64_t max, std::string_view type, std::int64_t& out,
                 FieldContext& context) {
  if (!value.is_number()) {
    context.mismatch(type, value);
    return false;
  }
  if (value.is_number_float() && !is_whole(value) && std::abs(value.get<double>()) <= exact_in_double) {
    context.problem(fmt::format("expected {}, {} is not a whole number", type, dump_json(value)));
    return false;
  }
  const bool beyond = value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(max);
  if (beyond || !is_whole(value) || value.get<std::int64_t>() < min || value.get<std::int64_t>() > max) {
    context.problem(fmt::format("{} is out of range, {} is {} to {}", dump_json(value), type, min, max));
    return false;
  }
  out = value.get<std::int64_t>();
  return true;
}

void report_unknown_name(const Json& value, const std::vector<std::string_view>& names, FieldContext& context) {
  std::string expected = "one of";
  for (const auto& name : names) expected += fmt::format("{}{}", &name == names.data() ? " " : ", ", in_quotes(name));
  if (!value.is_string()) return context.mismatch(expected, value);
  const auto& text = value.get_ref<const std::string&>();
  context.problem(fmt::format("expected {}, found {}{}", expected, describe(value), did_you_mean(text, names)));
}

}  // namespace detail

Params::Params(std::string_view method, const Json& params) : method_(method) {
  if (params.is_null()) return;
  if (!params.is_object()) {
    throw RpcError::invalid_params(
        fmt::format("{}: expected parameters by name, in an object, found {}", method_, describe(params)));
  }
  params_ = &params;
}

const Json* Params::declare(std::string_view name, bool required, std::string_view type) {
  names_.emplace_back(name);
  if (params_ != nullptr) {
    const auto found = params_->find(std::string(name));
    if (found != params_->end()) return &*found;
  }
  if (required) context_.member(name).problem(fmt::format("missing, expected {}", type));
  return nullptr;
}

Params& Params::check(bool ok, std::string_view name, std::string_view rule) {
  if (!ok && !describing_ && has(name) && std::ranges::find(bad_, name) == bad_.end()) {
    context_.member(name).problem(rule);
  }
  return *this;
}

bool Params::has(std::string_view name) const { return params_ != nullptr && params_->contains(std::string(name)); }

void Params::report_unknown() {
  if (params_ == nullptr) return;
  const std::vector<std::string_view> known(names_.begin(), names_.end());
  for (const auto& [name, value] : params_->items()) {
    if (std::ranges::find(known, name) != known.end()) continue;
    const std::string prefix = context_.path().empty() ? std::string{} : fmt::format(" in \"{}\"", context_.path());
    auto& problems = context_.problems();
    problems.push_back(problems.size() < problems_kept ? fmt::format("{}: unknown parameter{}{}", in_quotes(name),
                                                                     prefix, did_you_mean(name, known))
                                                       : std::string{});
  }
}

void Params::finish() {
  if (describing_) return;
  report_unknown();
  const auto& problems = context_.problems();
  if (problems.empty()) return;
  std::string text = method_ + ": ";
  for (std::size_t i = 0; i < std::min(problems.size(), problems_shown); ++i) {
    if (i != 0) text += "; ";
    text += problems[i];
  }
  if (problems.size() > problems_shown) text += fmt::format("; and {} more", problems.size() - problems_shown);
  throw RpcError::invalid_params(text);
}

}  // namespace spdkio::rpc
