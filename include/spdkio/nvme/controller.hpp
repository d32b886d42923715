// Controller: a connection to an NVMe controller, over whatever transport.
#pragma once

#include <spdkio/base/error.hpp>
#include <spdkio/engine/dma_span.hpp>
#include <spdkio/nvme/namespace.hpp>
#include <spdkio/nvme/options.hpp>
#include <spdkio/nvme/qpair.hpp>
#include <spdkio/nvme/transport_id.hpp>
#include <spdkio/runtime/task.hpp>
#include <spdkio/spec/command.hpp>
#include <spdkio/spec/completion.hpp>
#include <spdkio/spec/features.hpp>
#include <spdkio/spec/identify.hpp>
#include <spdkio/spec/identify_controller.hpp>
#include <spdkio/spec/log_page.hpp>
#include <spdkio/spec/management.hpp>
#include <spdkio/spec/registers.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spdkio::nvme {

class ControllerCore;

enum class ControllerState : std::uint8_t {
  connecting,
  ready,
  reconnecting,  ///< lost; attempts are under way, requests wait
  failed,        ///< given up; everything fails
  detached
};
/// "connecting" and so on. Static storage.
std::string_view to_string(ControllerState state) noexcept;

/// Something that happened to a controller.
struct ControllerEvent {
  enum class Kind : std::uint8_t {
    disconnected,       ///< `text` says why; attempts to reconnect follow, or `failed`
    reconnected,        ///< requests go on
    failed,             ///< for good; `text` says why
    namespace_added,    ///< `nsid`
    namespace_removed,  ///< `nsid`
    namespace_changed,  ///< `nsid`: size, format or protection
    async_event,        ///< `async`: anything else that the controller reported
  };
  Kind kind{};
  std::uint32_t nsid = 0;
  spec::AsyncEvent async{};
  std::string text{};
};

struct LogPageOptions {
  std::uint64_t offset = 0;  ///< bytes, a multiple of 4
  std::uint32_t nsid = spec::nsid_all;
  bool retain_event = false;  ///< do not acknowledge the event that announced the page
  std::uint8_t specific = 0;  ///< Log Specific Field
};

struct FormatOptions {
  std::uint32_t lba_format = 0;  ///< index into the namespace's formats
  spec::SecureErase erase = spec::SecureErase::none;
  bool metadata_interleaved = false;
  std::uint32_t protection_type = 0;
  bool protection_first = false;
};

struct SanitizeOptions {
  spec::SanitizeAction action = spec::SanitizeAction::block_erase;
  bool allow_unrestricted_exit = false;
  std::uint32_t overwrite_passes = 1;  ///< 1 to 16
  bool invert_between_passes = false;
  bool no_deallocate = false;
  std::uint32_t overwrite_pattern = 0;
};

/// Belongs to the Thread that connected it. There the library polls the admin queue, sends Keep Alive, keeps
/// Asynchronous Event Requests outstanding, rereads namespaces when they change, and connects again when the connection
/// is lost. `alloc_io_qpair`, admin commands and the facts may be used on every Thread; the rest on its own. Move-only.
/// `detach` it, or let the destructor do so in the background.
///
/// Admin commands wait while the controller is away, fail with ENOTCONN when it is lost under them, and with the
/// reason once it has failed. They throw Error with the controller's status.
class Controller {
 public:
  /// Connects, enables the controller, identifies it and its namespaces. Throws Error: Misuse::invalid_argument for an
  /// option or address that can't be right, ECONNREFUSED and the like, timed_out, or the status of the command that
  /// failed. A stop request ends it.
  static Task<Controller> connect(const TransportId& id, const ControllerOptions& options = {});

  Controller(Controller&&) noexcept = default;
  Controller& operator=(Controller&& other) noexcept;
  ~Controller();

  /// Ends what waits for the controller with operation_canceled, takes the queue pairs down, tells the controller, and
  /// closes the connections. Qpair objects may still exist and be destroyed later. Idempotent.
  Task<> detach();

  const std::string& name() const noexcept;
  /// With the subsystem NQN filled in.
  const TransportId& transport_id() const noexcept;
  ControllerState state() const noexcept;
  /// As of the last connection.
  std::shared_ptr<const spec::IdentifyController> identify() const;
  spec::Capabilities capabilities() const noexcept;
  spec::SpecVersion version() const noexcept;
  std::uint16_t controller_id() const noexcept;
  const std::string& host_nqn() const noexcept;
  /// I/O queue pairs that the controller granted.
  std::uint32_t max_io_qpairs() const noexcept;
  /// Of one command, bytes.
  std::uint32_t max_transfer_bytes() const noexcept;
  /// How often the connection was made; 1 after `connect`.
  std::uint64_t connections() const noexcept;

  /// Throws ENODEV for one that is not active.
  Namespace ns(std::uint32_t nsid) const;
  /// Active ones, in increasing order.
  std::vector<Namespace> namespaces() const;

  /// For the current Thread. Throws ENOSPC when the controller grants no more.
  Task<Qpair> alloc_io_qpair(QpairOptions options = {}) const;

  /// The next event, in order; waits for it. Empty after `detach`. Only the last 1024 are kept. One waiter at a time.
  Task<std::optional<ControllerEvent>> next_event() const;
  /// Looks at the namespaces again; what changed becomes events. The library does so when the controller says that they
  /// changed.
  Task<> rescan_namespaces() const;
  /// Takes the connection down and makes it again: a controller level reset. Requests in flight are treated as after a
  /// loss. Throws Error when the controller has failed instead.
  Task<> reset() const;

  // ---- admin commands
  /// As it is; CID and data pointer are filled in. `data` must be as long as the command transfers, and stay.
  Task<spec::Completion> admin(const spec::Command& command, DmaSpan data = {}) const;
  /// A page that is read whole, or a part of it. `into` is a multiple of 4 bytes.
  Task<> log_page(spec::LogPage page, DmaSpan into, LogPageOptions options = {}) const;
  Task<spec::SmartLog> smart_log(std::uint32_t nsid = spec::nsid_all) const;
  /// The newest entries, at most `count`.
  Task<std::vector<spec::ErrorLogEntry>> error_log(std::uint32_t count) const;
  Task<spec::FirmwareSlotLog> firmware_slot_log() const;
  Task<spec::CommandEffectsLog> command_effects_log() const;
  /// DW0 of the answer.
  Task<std::uint32_t> get_feature(spec::Feature feature, spec::FeatureSelect select = spec::FeatureSelect::current,
                                  std::uint32_t cdw11 = 0, std::uint32_t nsid = 0, DmaSpan data = {}) const;
  Task<std::uint32_t> set_feature(spec::Feature feature, std::uint32_t cdw11, bool save = false, std::uint32_t nsid = 0,
                                  DmaSpan data = {}) const;
  Task<> identify(spec::Cns cns, std::uint32_t nsid, DmaSpan into, std::uint16_t cntid = 0,
                  spec::Csi csi = spec::Csi::nvm) const;
  /// All data is lost. The namespace has its new format when this returns.
  Task<> format(std::uint32_t nsid, FormatOptions options) const;
  /// Starts it; `sanitize_log` tells the progress.
  Task<> sanitize(SanitizeOptions options) const;
  Task<spec::SanitizeLog> sanitize_log() const;
  /// `data` holds what the specification lets the host choose. Gives the new identifier; attach it to use it.
  Task<std::uint32_t> create_namespace(const spec::IdentifyNamespace& data) const;
  Task<> delete_namespace(std::uint32_t nsid) const;
  Task<> attach_namespace(std::uint32_t nsid, std::vector<std::uint16_t> controllers) const;
  Task<> detach_namespace(std::uint32_t nsid, std::vector<std::uint16_t> controllers) const;

  const std::shared_ptr<ControllerCore>& core() const noexcept { return core_; }

 private:
  explicit Controller(std::shared_ptr<ControllerCore> core) noexcept : core_(std::move(core)) {}
  void release() noexcept;
  std::shared_ptr<ControllerCore> core_;
};

}  // namespace spdkio::nvme
