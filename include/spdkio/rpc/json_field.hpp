// How one C++ type is read from JSON, named in descriptions, and written back.
#pragma once

#include <spdkio/base/units.hpp>
#include <spdkio/base/uuid.hpp>
#include <spdkio/rpc/json.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace spdkio::rpc {

class Params;

/// Where a value stands, and the list of what was wrong with the values so far.
class FieldContext {
 public:
  FieldContext(std::string path, std::vector<std::string>& problems) : path_(std::move(path)), problems_(&problems) {}
  /// `"num_blocks": expected uint64, found string "12"`
  void mismatch(std::string_view expected, const Json& found);
  /// `"num_blocks": must be a multiple of 8`
  void problem(std::string_view text);
  FieldContext element(std::size_t index) const;
  FieldContext member(std::string_view name) const;
  const std::string& path() const { return path_; }
  std::vector<std::string>& problems() const { return *problems_; }

 private:
  std::string path_;
  std::vector<std::string>* problems_;
};

/// Specialised for every type that can be a parameter:
///   static std::string type();                              the name in SPDK's schema: string, uint32, array, ...
///   static void read(const Json&, T& out, FieldContext&);   leaves `out` alone and reports when it does not fit
///   static Json write(const T&);                            shown as the default
template <class T>
struct JsonField;

template <>
struct JsonField<std::string> {
  static std::string type() { return "string"; }
  static void read(const Json& value, std::string& out, FieldContext& context);
  static Json write(const std::string& value) { return value; }
};

template <>
struct JsonField<bool> {
  static std::string type() { return "boolean"; }
  static void read(const Json& value, bool& out, FieldContext& context);
  static Json write(bool value) { return value; }
};

template <>
struct JsonField<double> {
  static std::string type() { return "number"; }
  static void read(const Json& value, double& out, FieldContext& context);
  static Json write(double value) { return value; }
};

/// Any JSON, for methods that pass it on.
template <>
struct JsonField<Json> {
  static std::string type() { return "any"; }
  static void read(const Json& value, Json& out, FieldContext&) { out = value; }
  static Json write(const Json& value) { return value; }
};

namespace detail {
/// Whole numbers, also when written as 5.0 or 1e3, as SPDK takes them. False when it was reported.
bool read_unsigned(const Json& value, std::uint64_t max, std::string_view type, std::uint64_t& out, FieldContext&);
bool read_signed(const Json& value, std::int64_t min, std::int64_t max, std::string_view type, std::int64_t& out,
                 FieldContext&);
void report_unknown_name(const Json& value, const std::vector<std::string_view>& names, FieldContext&);
}  // namespace detail

template <std::unsigned_integral T>
struct JsonField<T> {
  static std::string type() { return "uint" + std::to_string(sizeof(T) * 8); }
  static void read(const Json& value, T& out, FieldContext& context) {
    std::uint64_t number = 0;
    if (detail::read_unsigned(value, std::numeric_limits<T>::max(), type(), number, context)) {
      out = static_cast<T>(number);
    }
  }
  static Json write(T value) { return value; }
};

template <std::signed_integral T>
struct JsonField<T> {
  static std::string type() { return "int" + std::to_string(sizeof(T) * 8); }
  static void read(const Json& value, T& out, FieldContext& context) {
    std::int64_t number = 0;
    if (detail::read_signed(value, std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), type(), number,
                            context)) {
      out = static_cast<T>(number);
    }
  }
  static Json write(T value) { return value; }
};

/// Bytes: a number, or a string as `parse_byte_size` reads it, `"64KiB"`.
template <>
struct JsonField<ByteCount> {
  static std::string type() { return "size"; }
  static void read(const Json& value, ByteCount& out, FieldContext& context);
  static Json write(ByteCount value) { return value.value; }
};

/// Text in either case.
template <>
struct JsonField<Uuid> {
  static std::string type() { return "uuid"; }
  static void read(const Json& value, Uuid& out, FieldContext& context);
  static Json write(const Uuid& value) { return value.is_nil() ? Json(nullptr) : Json(value.to_string()); }
};

/// One name of an enumeration. For `enum class Mode`, define beside it
/// `std::span<const EnumName<Mode>> rpc_names(Mode)`; the first name of a value is the one written.
template <class E>
struct EnumName {
  std::string_view name;
  E value;
};

template <class E>
concept NamedEnum = std::is_enum_v<E> && requires(E value) {
  { rpc_names(value) } -> std::convertible_to<std::span<const EnumName<E>>>;
};

template <NamedEnum E>
struct JsonField<E> {
  static std::string type() {
    std::string out;
    for (const auto& entry : names()) (out += out.empty() ? "" : "|") += entry.name;
    return out;
  }
  static void read(const Json& value, E& out, FieldContext& context) {
    std::vector<std::string_view> known;
    for (const auto& entry : names()) {
      if (value.is_string() && value.get_ref<const std::string&>() == entry.name) {
        out = entry.value;
        return;
      }
      known.push_back(entry.name);
    }
    detail::report_unknown_name(value, known, context);
  }
  static Json write(E value) {
    for (const auto& entry : names()) {
      if (entry.value == value) return std::string(entry.name);
    }
    return nullptr;
  }

 private:
  static std::span<const EnumName<E>> names() { return rpc_names(E{}); }
};

template <class T>
struct JsonField<std::vector<T>> {
  static std::string type() { return "array of " + JsonField<T>::type(); }
  static void read(const Json& value, std::vector<T>& out, FieldContext& context) {
    if (!value.is_array()) return context.mismatch(type(), value);
    std::vector<T> elements;
    elements.reserve(value.size());
    for (const Json& element : value) {
      FieldContext inner = context.element(elements.size());
      T item{};
      JsonField<T>::read(element, item, inner);
      elements.push_back(std::move(item));
    }
    out = std::move(elements);
  }
  static Json write(const std::vector<T>& value) {
    Json out = Json::array();
    for (const T& element : value) out.push_back(JsonField<T>::write(element));
    return out;
  }
};

/// A parameter that may be left out and has no default.
template <class T>
struct JsonField<std::optional<T>> {
  static std::string type() { return JsonField<T>::type(); }
  static void read(const Json& value, std::optional<T>& out, FieldContext& context) {
    T item{};
    const std::size_t before = context.problems().size();
    JsonField<T>::read(value, item, context);
    if (context.problems().size() == before) out = std::move(item);
  }
  static Json write(const std::optional<T>& value) { return value ? JsonField<T>::write(*value) : Json(nullptr); }
};

}  // namespace spdkio::rpc
