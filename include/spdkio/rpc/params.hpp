// The parameters of a method, declared once: read, checked and described by the same lines.
#pragma once

#include <spdkio/rpc/error.hpp>
#include <spdkio/rpc/json_field.hpp>

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::rpc {

/// One parameter, for help texts and schemas. The names are those of SPDK's `schema.json`.
struct ParamSpec {
  std::string name;
  std::string type;  ///< string, boolean, uint32, uint64, int32, number, size, uuid, `a|b`, array of ..., object, any
  bool required = false;
  Json default_value;              ///< null: none
  std::string help;                ///< one line
  std::vector<ParamSpec> members;  ///< of an object
};

/// Reads the params object of a request into variables:
///
///     Params p{"bdev_malloc_create", params};
///     p.required("num_blocks", &num_blocks, "Number of blocks");
///     p.optional("name", &name, "Name of the bdev");
///     p.finish();
///
/// `finish` throws RpcError -32602 which names the method and everything that is wrong: missing parameters, wrong types
/// (expected and found), values out of range, names that the method does not have and what they may have been meant to
/// be. Until then what could not be read keeps its value. A null `params` means none were given.
class Params {
 public:
  /// Borrows `params` until `finish`.
  Params(std::string_view method, const Json& params);
  /// Reads nothing and notes what is declared; the values of the variables are the defaults.
  static Params describing() { return Params(); }
  Params(const Params&) = delete;
  Params& operator=(const Params&) = delete;

  template <class T>
  Params& required(std::string_view name, T* out, std::string_view help = {}) {
    return field(name, *out, help, true);
  }
  template <class T>
  Params& optional(std::string_view name, T* out, std::string_view help = {}) {
    return field(name, *out, help, false);
  }
  /// A rule that types can't say: `p.check(bs % 512 == 0, "block_size", "must be a multiple of 512")`. It counts only
  /// when the parameter was given and could be read.
  Params& check(bool ok, std::string_view name, std::string_view rule);
  /// True when the caller gave the parameter.
  bool has(std::string_view name) const;
  /// Throws RpcError when anything was wrong. Call it after the last parameter.
  void finish();

  const std::vector<ParamSpec>& specs() const { return specs_; }

 private:
  template <class T>
  friend struct JsonField;
  Params() : describing_(true) {}
  Params(const Json* params, FieldContext context) : params_(params), context_(std::move(context)) {}

  template <class T>
  Params& field(std::string_view name, T& out, std::string_view help, bool required);
  const Json* declare(std::string_view name, bool required, std::string_view type);
  void report_unknown();

  std::string method_;
  std::vector<std::string> own_problems_;
  const Json* params_ = nullptr;  // null: describing, or none given
  bool describing_ = false;
  std::vector<std::string> names_;  // declared so far
  std::vector<std::string> bad_;    // could not be read
  std::vector<ParamSpec> specs_;
  FieldContext context_{"", own_problems_};
};

/// A struct that lists its parameters: `void fields(Params&)`. It is a type for a whole method, and for an object
/// inside one.
template <class T>
concept ParamStruct = std::default_initializable<T> && requires(T& value, Params& params) { value.fields(params); };

template <ParamStruct T>
struct JsonField<T> {
  static std::string type() { return "object"; }
  static void read(const Json& value, T& out, FieldContext& context) {
    if (!value.is_object()) return context.mismatch(type(), value);
    Params inner(&value, context);
    out.fields(inner);
    inner.report_unknown();
  }
  static Json write(const T&) { return nullptr; }
};

namespace detail {
template <class T>
std::vector<ParamSpec> members_of() {
  return {};
}
template <ParamStruct T>
std::vector<ParamSpec> members_of() {
  Params params = Params::describing();
  T{}.fields(params);
  return params.specs();
}
template <class T>
struct ElementOf {
  using type = T;
};
template <class T>
struct ElementOf<std::vector<T>> : ElementOf<T> {};
template <class T>
struct ElementOf<std::optional<T>> : ElementOf<T> {};
}  // namespace detail

/// The parameters that `T::fields` declares.
template <ParamStruct T>
std::vector<ParamSpec> describe_params() {
  return detail::members_of<T>();
}

template <class T>
Params& Params::field(std::string_view name, T& out, std::string_view help, bool required) {
  if (describing_) {
    specs_.push_back({.name = std::string(name),
                      .type = JsonField<T>::type(),
                      .required = required,
                      .default_value = required ? Json(nullptr) : JsonField<T>::write(out),
                      .help = std::string(help),
                      .members = detail::members_of<typename detail::ElementOf<T>::type>()});
    return *this;
  }
  const Json* value = declare(name, required, JsonField<T>::type());
  if (value != nullptr) {
    FieldContext context = context_.member(name);
    const std::size_t before = context.problems().size();
    JsonField<T>::read(*value, out, context);
    if (context.problems().size() != before) bad_.emplace_back(name);
  }
  return *this;
}

}  // namespace spdkio::rpc
