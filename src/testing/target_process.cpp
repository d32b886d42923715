#include <spdkio/testing/target_process.hpp>

#include <spdkio/base/error.hpp>
#include <spdkio/rpc/json.hpp>
#include <spdkio/runtime/thread_core.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

namespace spdkio::testing {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Exit code of a child that could not become the program.
constexpr int not_executed = 127;

int milliseconds_until(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::max<std::int64_t>(left, 0));
}

std::string program_of(const TargetProcessOptions& options) {
  if (!options.program.empty()) return options.program;
  const char* const variable = std::getenv("SPDKIO_PROGRAM");
  return variable != nullptr && *variable != '\0' ? variable : "spdkio";
}

}  // namespace

TargetProcess::TargetProcess(TargetProcess&& other) noexcept
    : options_(std::move(other.options_)),
      pid_(std::exchange(other.pid_, -1)),
      exit_code_(other.exit_code_),
      output_(std::move(other.output_)),
      transport_id_(std::move(other.transport_id_)) {}

TargetProcess& TargetProcess::operator=(TargetProcess&& other) noexcept {
  std::swap(options_, other.options_);
  std::swap(pid_, other.pid_);
  std::swap(exit_code_, other.exit_code_);
  std::swap(output_, other.output_);
  std::swap(transport_id_, other.transport_id_);
  return *this;
}

TargetProcess::~TargetProcess() {
  try {
    stop();
  } catch (const Error&) {
    // It was killed; nobody is left who would want to know.
  }
}

TargetProcess TargetProcess::start(TargetProcessOptions options) {
  spdkio::detail::refuse_to_block("TargetProcess::start", "start it before the engine's work begins");
  TargetProcess process;
  process.options_ = std::move(options);
  process.launch();
  return process;
}

void TargetProcess::launch() {
  const std::string program = program_of(options_);
  std::vector<std::string> arguments{
      program, "serve", "--json", "--listen", fmt::format("127.0.0.1:{}", options_.port), "--nqn", options_.nqn};
  arguments.insert(arguments.end(), options_.arguments.begin(), options_.arguments.end());
  arguments.insert(arguments.end(), options_.devices.begin(), options_.devices.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw Error::from_errno(errno).with_operation("pipe2");
  UniqueFd from_child(ends[0]);
  UniqueFd to_parent(ends[1]);
  const int parent = ::getpid();
  const int child = ::fork();
  if (child < 0) throw Error::from_errno(errno, "cannot start a subprocess").with_operation("fork");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(not_executed);
    ::dup2(to_parent.get(), STDOUT_FILENO);
    ::dup2(to_parent.get(), STDERR_FILENO);
    ::execvp(argv[0], argv.data());
    ::_exit(not_executed);
  }
  to_parent.reset();
  pid_ = child;
  output_ = std::move(from_child);

  // The line of JSON; what else it writes is kept for the message of a failure.
  std::string text;
  const auto deadline = Clock::now() + options_.limit;
  while (true) {
    for (std::size_t start = 0, end; (end = text.find('\n', start)) != std::string::npos; start = end + 1) {
      const auto json = rpc::parse_json(std::string_view(text).substr(start, end - start));
      if (!json || !json->is_object() || !json->contains("ready")) continue;
      transport_id_ = nvme::TransportId::parse((*json)["subsystems"][0]["listeners"][0].get<std::string>());
      transport_id_.subnqn = (*json)["subsystems"][0]["nqn"].get<std::string>();
      return;
    }
    pollfd waiting{.fd = output_.get(), .events = POLLIN, .revents = 0};
    const int ready = ::poll(&waiting, 1, milliseconds_until(deadline));
    std::array<char, 4096> bytes;
    const ssize_t length = ready > 0 ? ::read(output_.get(), bytes.data(), bytes.size()) : ready;
    if (length > 0) {
      text.append(bytes.data(), static_cast<std::size_t>(length));
      continue;
    }
    if (ready < 0 && errno == EINTR) continue;
    kill();
    const bool missing = ready > 0 && exit_code_ == not_executed;
    throw Error(missing ? std::errc::no_such_file_or_directory : std::errc::io_error,
                missing ? fmt::format("there is no program '{}'", program)
                        : fmt::format("{} {}: {}", program, ready == 0 ? "was not ready in time" : "ended", text))
        .with_operation("TargetProcess::start")
        .with_hint(missing ? "set SPDKIO_PROGRAM to its path" : "");
  }
}

bool TargetProcess::running() const noexcept {
  siginfo_t info{};
  return pid_ > 0 && ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

int TargetProcess::wait_for_end(milliseconds limit) {
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  const auto deadline = Clock::now() + limit;
  while (process) {
    // It must not be held up by a full pipe.
    std::array<pollfd, 2> waiting{{{process.get(), POLLIN, 0}, {output_.get(), POLLIN, 0}}};
    const int ready = ::poll(waiting.data(), output_ ? 2 : 1, milliseconds_until(deadline));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return -1;
    if (waiting[0].revents != 0) break;
    std::array<char, 4096> dropped;
    if (::read(output_.get(), dropped.data(), dropped.size()) <= 0) output_.reset();
  }
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  output_.reset();
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return 0;
}

int TargetProcess::stop() {
  if (pid_ <= 0) return exit_code_;
  ::kill(pid_, SIGTERM);
  if (wait_for_end(options_.limit) == 0) return exit_code_;
  kill();
  throw Error(std::errc::timed_out, "the target did not end when it was asked to; it was killed")
      .with_operation("TargetProcess::stop");
}

void TargetProcess::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  wait_for_end(std::chrono::hours{1});
}

void TargetProcess::restart() {
  stop();
  options_.port = transport_id_.port();
  launch();
}

}  // namespace spdkio::testing
