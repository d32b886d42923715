// The one error type of the library: what failed, on what, where, why, and what to try.
#pragma once

#include <spdkio/base/nvme_status.hpp>
#include <spdkio/base/units.hpp>

#include <concepts>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace spdkio {

/// Mistakes of the program, as opposed to answers of a device. Category `misuse_category()`.
enum class Misuse : int {
  wrong_thread = 1,  ///< an object was used on another thread than the one it belongs to
  already_closed,    ///< close, put or unregister called twice, or used after it
  not_started,       ///< no Env or App is running
  already_started,   ///< a second Env or App while one is running
  invalid_argument,  ///< an option or argument that can never be right
  out_of_range,      ///< beyond the end of the device
  misaligned,        ///< offset, length or buffer not aligned as the device needs
  buffer_size,       ///< buffer shorter than the transfer, or scatter list of another length
  read_only,         ///< a write through a descriptor opened for reading
  would_block,       ///< a blocking call on a reactor, which it would stop
  not_supported,     ///< the device does not have this operation; `supports()` says so beforehand
  callback_threw,    ///< an exception left a callback that must not throw
};

const std::error_category& misuse_category() noexcept;
/// Values are `sct << 8 | sc` of an NvmeStatus.
const std::error_category& nvme_category() noexcept;
std::error_code make_error_code(Misuse) noexcept;
std::error_code make_error_code(const NvmeStatus&) noexcept;

/// What is known about an operation that did not succeed.
enum class Outcome : std::uint8_t {
  failed,            ///< it ran and the device reported an error
  never_submitted,   ///< it was refused or cancelled before anything was handed to the device
  aborted,           ///< it was handed over and taken back; the device confirmed that it did not execute
  may_have_executed  ///< it was given up on; whether it took effect is not known
};
std::string_view to_string(Outcome) noexcept;

/// A coroutine that was running, or waited for one, when an Error was made.
struct ErrorFrame {
  std::source_location where;  ///< the coroutine's function; line 0: not known
  std::string task;            ///< `name (file:line)` of the task that was spawned; empty inside it
};

/// Thrown by awaited operations and given by `as_result`. A `std::system_error` whose code keeps the device's own
/// answer (errno, NVMe status, or Misuse), with the operation, the device, the range, the chain of what the program
/// was doing, and a hint where one is known. Copying never throws; copies share their details. Any thread may read it.
class Error : public std::system_error {
 public:
  /// `message` says in plain words what went wrong; it may be empty when the code says it all.
  explicit Error(std::error_code code, std::string message = {});
  explicit Error(Misuse code, std::string message = {}) : Error(make_error_code(code), std::move(message)) {}
  explicit Error(std::errc code, std::string message = {}) : Error(std::make_error_code(code), std::move(message)) {}
  explicit Error(const NvmeStatus& status, std::string message = {});
  /// `errno_value` is positive, as in `errno`.
  static Error from_errno(int errno_value, std::string message = {});
  /// The current exception as an Error: itself, or wrapped with the text of what it was. Call it inside a catch block.
  static Error from_current_exception();

  Error with_operation(std::string_view operation) const;
  Error with_device(std::string_view device) const;
  Error with_range(LbaRange range) const;
  Error with_hint(std::string_view hint) const;
  Error with_outcome(Outcome outcome) const;
  /// Adds an outer step to the chain: `while copying disk0 to disk1`. See ErrorContext for the usual way.
  Error with_context(std::string_view context) const;
  /// Adds what the caller is doing, its contexts and tasks: for an Error that was made elsewhere and is handed on here.
  /// The runtime does so where a spawned task is joined.
  Error with_current_context() const;

  /// The whole story in one sentence, with the hint.
  const char* what() const noexcept override;
  /// `what()` without the contexts and the hint.
  std::string brief() const;
  /// All that is known, in lines without a newline at the end: `brief()`, then a line for each context, for the status
  /// as the device gave it, for the hint, and for each task.
  std::string report() const;
  const std::string& message() const noexcept;    ///< as given to the constructor
  const std::string& operation() const noexcept;  ///< "read", "bdev_malloc_create"; empty if unknown
  const std::string& device() const noexcept;     ///< name of the bdev, controller or file; empty if unknown
  const std::optional<LbaRange>& range() const noexcept;
  const std::optional<NvmeStatus>& nvme_status() const noexcept;
  const std::string& hint() const noexcept;
  Outcome outcome() const noexcept;
  /// What the program was doing, innermost first: the texts of every ErrorContext that was open, and of with_context.
  const std::vector<std::string>& context() const noexcept;
  /// The coroutines that were waiting for each other when it was made, innermost first.
  const std::vector<ErrorFrame>& tasks() const noexcept;

  /// True for mistakes of the program, false for answers of devices and the system.
  bool is_misuse() const noexcept { return code().category() == misuse_category(); }
  /// A positive errno for interfaces that know nothing else.
  int to_errno() const noexcept;

 private:
  struct Details;
  explicit Error(std::error_code code, std::shared_ptr<const Details> details);
  template <class F>
  Error edited(F&& edit) const;
  std::shared_ptr<const Details> details_;
};

template <class T = void>
using Result = std::expected<T, Error>;

}  // namespace spdkio

template <>
struct std::is_error_code_enum<spdkio::Misuse> : std::true_type {};
