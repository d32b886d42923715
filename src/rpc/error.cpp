#include <spdkio/rpc/error.hpp>

#include <fmt/format.h>

#include <cerrno>
#include <limits>

namespace spdkio::rpc {
namespace {

RpcError worded(int code, std::string_view words, std::string_view what) {
  return {code, what.empty() ? std::string{words} : fmt::format("{}: {}", words, what)};
}

constexpr int largest_errno = 4095;

}  // namespace

RpcError RpcError::parse_error(std::string_view what) { return worded(code::parse_error, "Parse error", what); }
RpcError RpcError::invalid_request(std::string_view what) {
  return worded(code::invalid_request, "Invalid request", what);
}
RpcError RpcError::invalid_params(std::string_view what) {
  return worded(code::invalid_params, "Invalid parameters", what);
}
RpcError RpcError::internal(std::string_view what) { return worded(code::internal_error, "Internal error", what); }

RpcError RpcError::from(const Error& error) {
  Json data = Json::object();
  if (!error.device().empty()) data["device"] = error.device();
  if (const auto& status = error.nvme_status()) {
    data["nvme_status"] = {{"sct", status->sct}, {"sc", status->sc}, {"text", status->text()}};
  }
  if (error.outcome() != Outcome::failed) data["outcome"] = to_string(error.outcome());
  if (!error.hint().empty()) data["hint"] = error.hint();
  const int code = -error.to_errno();
  RpcError made = data.empty() ? RpcError(code, error.what()) : RpcError(code, error.what(), std::move(data));
  made.origin_ = std::make_shared<const Error>(error);
  return made;
}

RpcError RpcError::from_current_exception() {
  try {
    throw;
  } catch (const RpcError& error) {
    return error;
  } catch (const Error& error) {
    return from(error);
  } catch (const std::system_error& error) {
    return from(Error(error.code(), error.what()));
  } catch (const std::bad_alloc&) {
    return {-ENOMEM, "Cannot allocate memory"};
  } catch (const std::exception& error) {
    return internal(error.what());
  } catch (...) {
    return internal("an exception of unknown type");
  }
}

Result<RpcError> RpcError::from_json(const Json& error) {
  const auto refused = [](const char* why) { return std::unexpected(Error(std::errc::protocol_error, why)); };
  if (!error.is_object()) return refused("the error of a response is not an object");
  const auto code = error.find("code");
  const auto message = error.find("message");
  if (code == error.end() || !code->is_number_integer()) return refused("the error of a response has no integer code");
  if (message == error.end() || !message->is_string()) return refused("the error of a response has no message");
  if (code->is_number_unsigned() && code->get<std::uint64_t>() > std::numeric_limits<int>::max()) {
    return refused("the code of an error is out of range");
  }
  const auto value = code->get<std::int64_t>();
  if (value < std::numeric_limits<int>::min() || value > std::numeric_limits<int>::max()) {
    return refused("the code of an error is out of range");
  }
  const auto data = error.find("data");
  if (data == error.end()) return RpcError(static_cast<int>(value), message->get<std::string>());
  return RpcError(static_cast<int>(value), message->get<std::string>(), *data);
}

Json RpcError::to_json() const {
  Json out = {{"code", code_}, {"message", what()}};
  if (data_) out["data"] = *data_;
  return out;
}

Error RpcError::to_error() const {
  if (origin_) return *origin_;
  const auto error_number = [this] {
    switch (code_) {
      case code::parse_error:
      case code::invalid_request: return EPROTO;
      case code::method_not_found: return ENOSYS;
      case code::invalid_params: return EINVAL;
      case code::invalid_state: return EPERM;
      default: return code_ < 0 && code_ >= -largest_errno ? -code_ : EIO;
    }
  };
  // The server's message is the whole story; an errno text after it would say it twice.
  const Error plain = Error::from_errno(error_number());
  const std::string message = what();
  return message == plain.code().message() ? plain : Error::from_errno(error_number(), message);
}

}  // namespace spdkio::rpc
