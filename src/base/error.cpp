#include <spdkio/base/error.hpp>

#include <spdkio/base/error_context.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <cerrno>
#include <iterator>
#include <string_view>
#include <utility>

namespace spdkio {
namespace {

class MisuseCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "spdkio.misuse"; }
  std::string message(int value) const override {
    switch (static_cast<Misuse>(value)) {
      case Misuse::wrong_thread: return "used on the wrong thread";
      case Misuse::already_closed: return "already closed";
      case Misuse::not_started: return "no environment is running";
      case Misuse::already_started: return "an environment is already running";
      case Misuse::invalid_argument: return "invalid argument";
      case Misuse::out_of_range: return "beyond the end of the device";
      case Misuse::misaligned: return "misaligned request";
      case Misuse::buffer_size: return "buffer size does not match the request";
      case Misuse::read_only: return "write through a read-only descriptor";
      case Misuse::would_block: return "a blocking call on a reactor thread";
      case Misuse::not_supported: return "operation not supported by the device";
      case Misuse::callback_threw: return "an exception left a callback";
    }
    return "unknown misuse";
  }
  std::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<Misuse>(value)) {
      case Misuse::already_closed: return std::errc::bad_file_descriptor;
      case Misuse::wrong_thread:
      case Misuse::would_block: return std::errc::operation_not_permitted;
      case Misuse::not_started: return std::errc::no_such_device;
      case Misuse::already_started: return std::errc::device_or_resource_busy;
      case Misuse::read_only: return std::errc::read_only_file_system;
      case Misuse::not_supported: return std::errc::operation_not_supported;
      default: return std::errc::invalid_argument;
    }
  }
};

class NvmeCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "nvme"; }
  std::string message(int value) const override { return std::string{from(value).text()}; }
  std::error_condition default_error_condition(int value) const noexcept override {
    return {from(value).to_errno(), std::generic_category()};
  }

 private:
  static NvmeStatus from(int value) {
    return {.sct = static_cast<std::uint8_t>(value >> 8), .sc = static_cast<std::uint8_t>(value)};
  }
};

}  // namespace

const std::error_category& misuse_category() noexcept {
  static const MisuseCategory category;
  return category;
}

const std::error_category& nvme_category() noexcept {
  static const NvmeCategory category;
  return category;
}

std::error_code make_error_code(Misuse value) noexcept { return {static_cast<int>(value), misuse_category()}; }

std::error_code make_error_code(const NvmeStatus& status) noexcept {
  return {status.sct << 8 | status.sc, nvme_category()};
}

std::string_view to_string(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::failed: return "failed";
    case Outcome::never_submitted: return "never submitted";
    case Outcome::aborted: return "aborted";
    case Outcome::may_have_executed: return "may have executed";
  }
  return "unknown";
}

struct Error::Details {
  std::string message;
  std::string operation;
  std::string device;
  std::optional<LbaRange> range;
  std::optional<NvmeStatus> nvme_status;
  std::string hint;
  Outcome outcome = Outcome::failed;
  std::vector<std::string> context;
  std::vector<ErrorFrame> tasks;
  std::string what;

  /// What the program is doing here and now.
  void add_current_context() {
    for (const detail::ErrorScope* scope = &detail::ErrorScope::here(); scope != nullptr;
         scope = scope->outer_scope()) {
      for (const detail::ErrorSpan* span = scope->innermost(); span != nullptr; span = span->outer()) {
        context.push_back(span_text(*span));
      }
      if (scope->where().line() == 0 && scope->task_name() == nullptr) continue;
      ErrorFrame& frame = tasks.emplace_back(ErrorFrame{.where = scope->where(), .task = {}});
      if (scope->task_name() != nullptr) {
        const std::source_location& spawned = scope->task_spawned_at();
        frame.task = fmt::format("{} ({}:{})", scope->task_name()->empty() ? "task" : *scope->task_name(),
                                 file_of(spawned), spawned.line());
      }
    }
  }

  static std::string span_text(const detail::ErrorSpan& span) {
    try {
      return span.text();
    } catch (const std::exception& failure) {
      return fmt::format("(a context that can't be told: {})", failure.what());
    }
  }

  /// Without the folders.
  static std::string_view file_of(const std::source_location& where) {
    const std::string_view file = where.file_name();
    return file.substr(file.find_last_of('/') + 1);
  }

  /// The name in the compiler's text of a function, without its type and parameters.
  static std::string_view function_of(const std::source_location& where) {
    const std::string_view text = where.function_name();
    std::size_t start = 0;
    std::size_t end = 0;
    int depth = 0;
    for (; end < text.size(); ++end) {
      const char c = text[end];
      if (c == '<' || c == '{') ++depth;
      if (c == '>' || c == '}' || (c == ')' && depth > 0)) --depth;
      if (c == '(') {
        if (depth == 0 && !text.substr(end).starts_with("(anonymous")) break;
        ++depth;
      }
      if (c == ' ' && depth == 0) start = end + 1;
    }
    return text.substr(start, end - start);
  }

  /// Fabrics commands use the codes of some I/O commands for other things: what the message says then is right.
  bool is_ambiguous() const { return nvme_status->sct == 1 && nvme_status->sc >= 0x80; }
  std::string codes() const {
    return fmt::format("SCT {:#x}, SC {:#04x}{}", nvme_status->sct, nvme_status->sc, nvme_status->dnr ? ", DNR" : "");
  }

  std::string compose(const std::error_code& code) const {
    std::string text = brief(code);
    for (const auto& step : context) fmt::format_to(std::back_inserter(text), "; {}", step);
    if (!hint.empty()) fmt::format_to(std::back_inserter(text), ". Hint: {}", hint);
    return text;
  }

  std::string report(const std::error_code& code) const {
    std::string text = brief(code);
    auto out = std::back_inserter(text);
    for (const auto& step : context) fmt::format_to(out, "\n  while: {}", step);
    if (!hint.empty()) fmt::format_to(out, "\n  hint: {}", hint);
    if (nvme_status) {
      fmt::format_to(out, "\n  status: {}{}", message.empty() || !is_ambiguous() ? nvme_status->describe() : codes(),
                     nvme_status->dnr ? ", do not retry" : "");
    } else if (code.category() != misuse_category()) {
      fmt::format_to(out, "\n  status: {} ({} {})", code.message(), code.category().name(), code.value());
    }
    if (outcome != Outcome::failed) fmt::format_to(out, "\n  outcome: {}", to_string(outcome));
    for (const ErrorFrame& frame : tasks) {
      if (frame.where.line() != 0) {
        fmt::format_to(out, "\n  in: {} ({}:{})", function_of(frame.where), file_of(frame.where), frame.where.line());
      }
      if (!frame.task.empty()) fmt::format_to(out, "\n  task: {}", frame.task);
    }
    return text;
  }

  std::string brief(const std::error_code& code) const {
    std::string text;
    auto out = std::back_inserter(text);
    if (!operation.empty()) fmt::format_to(out, "{}", operation);
    if (!device.empty()) fmt::format_to(out, "{}{}", text.empty() ? "" : " on ", device);
    if (range) fmt::format_to(out, "{}blocks {}+{}", text.empty() ? "" : ", ", range->first.value, range->count.value);
    if (!text.empty()) text += ": ";
    const std::string reason = !nvme_status                         ? code.message()
                               : message.empty() || !is_ambiguous() ? nvme_status->describe()
                                                                    : codes();
    if (message.empty()) {
      text += reason;
    } else if (code.category() == misuse_category()) {
      text += message;
    } else {
      fmt::format_to(out, "{} ({})", message, reason);
    }
    if (outcome != Outcome::failed && code.category() != misuse_category()) {
      fmt::format_to(out, " [{}]", to_string(outcome));
    }
    return text;
  }
};

Error::Error(std::error_code code, std::string message) : std::system_error(code) {
  auto details = std::make_shared<Details>();
  details->message = std::move(message);
  details->add_current_context();
  details->what = details->compose(code);
  details_ = std::move(details);
}

Error::Error(const NvmeStatus& status, std::string message) : std::system_error(make_error_code(status)) {
  auto details = std::make_shared<Details>();
  details->message = std::move(message);
  details->nvme_status = status;
  details->add_current_context();
  details->what = details->compose(code());
  details_ = std::move(details);
}

Error::Error(std::error_code code, std::shared_ptr<const Details> details)
    : std::system_error(code), details_(std::move(details)) {}

Error Error::from_errno(int errno_value, std::string message) {
  return Error(std::error_code(errno_value, std::generic_category()), std::move(message));
}

Error Error::from_current_exception() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::system_error& error) {
    return Error(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return Error(std::errc::not_enough_memory, "out of memory");
  } catch (const std::exception& error) {
    return Error(Misuse::callback_threw, error.what());
  } catch (...) {
    return Error(Misuse::callback_threw, "an exception that is not a std::exception");
  }
}

template <class F>
Error Error::edited(F&& edit) const {
  auto details = std::make_shared<Details>(*details_);
  edit(*details);
  details->what = details->compose(code());
  return Error(code(), std::move(details));
}

Error Error::with_operation(std::string_view operation) const {
  return edited([&](Details& d) { d.operation = operation; });
}
Error Error::with_device(std::string_view device) const {
  return edited([&](Details& d) { d.device = device; });
}
Error Error::with_range(LbaRange range) const {
  return edited([&](Details& d) { d.range = range; });
}
Error Error::with_hint(std::string_view hint) const {
  return edited([&](Details& d) { d.hint = hint; });
}
Error Error::with_outcome(Outcome outcome) const {
  return edited([&](Details& d) { d.outcome = outcome; });
}
Error Error::with_context(std::string_view context) const {
  // What still goes on here was there when it was made, and is further out.
  return edited([&](Details& d) {
    const std::size_t still_open = std::min(detail::ErrorScope::depth(), d.context.size());
    d.context.emplace(d.context.end() - static_cast<std::ptrdiff_t>(still_open), context);
  });
}
Error Error::with_current_context() const {
  return edited([](Details& d) {
    Details here;
    here.add_current_context();
    const auto same_frame = [](const ErrorFrame& a, const ErrorFrame& b) {
      return a.where.function_name() == b.where.function_name() && a.where.line() == b.where.line() && a.task == b.task;
    };
    // An Error that was made inside of what the caller does has it already.
    if (here.context.size() <= d.context.size() && here.tasks.size() <= d.tasks.size() &&
        std::equal(here.context.rbegin(), here.context.rend(), d.context.rbegin()) &&
        std::equal(here.tasks.rbegin(), here.tasks.rend(), d.tasks.rbegin(), same_frame)) {
      return;
    }
    d.context.insert(d.context.end(), here.context.begin(), here.context.end());
    d.tasks.insert(d.tasks.end(), here.tasks.begin(), here.tasks.end());
  });
}

const char* Error::what() const noexcept { return details_->what.c_str(); }
std::string Error::brief() const { return details_->brief(code()); }
std::string Error::report() const { return details_->report(code()); }
const std::string& Error::message() const noexcept { return details_->message; }
const std::string& Error::operation() const noexcept { return details_->operation; }
const std::string& Error::device() const noexcept { return details_->device; }
const std::optional<LbaRange>& Error::range() const noexcept { return details_->range; }
const std::optional<NvmeStatus>& Error::nvme_status() const noexcept { return details_->nvme_status; }
const std::string& Error::hint() const noexcept { return details_->hint; }
Outcome Error::outcome() const noexcept { return details_->outcome; }
const std::vector<std::string>& Error::context() const noexcept { return details_->context; }
const std::vector<ErrorFrame>& Error::tasks() const noexcept { return details_->tasks; }

int Error::to_errno() const noexcept {
  const auto condition = code().default_error_condition();
  return condition.category() == std::generic_category() && condition.value() != 0 ? condition.value() : EIO;
}

}  // namespace spdkio
