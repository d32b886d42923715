// Io: one request on its way through the block layer. It lives in the frame of whoever waits for it, or in a module
// that sends requests on; it is the queue node of every module that holds it, so that nothing is allocated on the way.
#pragma once

#include <spdkio/base/units.hpp>
#include <spdkio/bdev/io_status.hpp>
#include <spdkio/engine/dma_span.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>
#include <type_traits>

namespace spdkio::bdev {

class ChannelSlot;

enum class IoType : std::uint8_t {
  read,
  write,
  write_zeroes,
  unmap,  ///< deallocate, discard
  flush,
  reset,
  compare,
  compare_and_write,
  copy,
  abort,
  seek_data,
  seek_hole,
  zone_report,
  zone_management,
  zone_append,
  nvme_admin,
  nvme_io,
};
constexpr std::size_t io_type_count = static_cast<std::size_t>(IoType::nvme_io) + 1;
/// Literals: listings of tasks show them as C strings.
inline constexpr std::array<std::string_view, io_type_count> io_type_names{
    "read",          "write",           "write_zeroes", "unmap",
    "flush",         "reset",           "compare",      "compare_and_write",
    "copy",          "abort",           "seek_data",    "seek_hole",
    "get_zone_info", "zone_management", "zone_append",  "nvme_admin",
    "nvme_io"};
/// "read", "write_zeroes", ...; as SPDK names them in `supported_io_types` where it has the operation.
constexpr std::string_view to_string(IoType type) noexcept {
  const auto index = static_cast<std::size_t>(type);
  return index < io_type_count ? io_type_names[index] : "unknown";
}
/// True for operations that need a descriptor opened for writing.
constexpr bool modifies(IoType type) noexcept {
  switch (type) {
    case IoType::read:
    case IoType::flush:
    case IoType::compare:
    case IoType::abort:
    case IoType::seek_data:
    case IoType::seek_hole:
    case IoType::zone_report: return false;
    default: return true;
  }
}

/// Zone Send Action values, NVMe Zoned Namespace Command Set, "Zone Management Send".
enum class ZoneAction : std::uint8_t { close = 1, finish = 2, open = 3, reset = 4, offline = 5 };

/// Zone state and size as a zone report gives them; states as in the Zoned Namespace Command Set.
struct ZoneInfo {
  enum class State : std::uint8_t {
    empty = 1,
    implicitly_open,
    explicitly_open,
    closed,
    read_only = 0xD,
    full,
    offline
  };
  LbaRange zone;
  BlockCount capacity;
  Lba write_pointer;
  State state = State::empty;
};

/// A submission queue entry for passthru operations, 64 bytes as the NVMe Base Specification lays it out (little endian
/// dwords); CID, NSID for I/O commands, and the data pointer are filled in by the device.
struct NvmeCommand {
  std::array<std::uint32_t, 16> dwords{};
};

class Io {
 public:
  /// Called once when the request has ended, on its Thread, maybe inside the submit.
  using OnComplete = void (*)(Io&) noexcept;

  Io() noexcept = default;
  /// Only before it was submitted.
  Io(const Io& other) noexcept : on_complete_(other.on_complete_), status_(other.status_) { assign_request(other); }
  Io& operator=(const Io&) = delete;

  // ---- what is asked; set before the submit and left alone by modules
  IoType type = IoType::read;
  bool fua = false;           ///< write: durable when it completes
  ZoneAction zone_action{};   ///< zone_management
  std::uint8_t reserved = 0;  // no hole, so that what is fixed here is one store
  std::uint32_t iov_count = 0;
  const DmaSpan* iov = nullptr;  ///< data, `iov_count` pieces; the sum of their sizes is `blocks` blocks
  std::uint64_t lba = 0;         ///< first block; for copy the destination
  std::uint64_t blocks = 0;
  DmaSpan metadata;  ///< separate metadata, or empty
  union {
    std::uint64_t source_lba = 0;  ///< copy; the widest member: it stands for all when a request is sent on
    const DmaSpan* write_iov;      ///< compare_and_write: what to write, same length as `iov`
    const NvmeCommand* command;    ///< passthru
    ZoneInfo* zones;               ///< zone_report: room for `zone_count` entries
    Io* target;                    ///< abort
  };
  std::uint32_t write_iov_count = 0;  ///< compare_and_write
  std::uint32_t zone_count = 0;       ///< zone_report

  // ---- what is answered
  /// zone_append, seek_*: the block; zone_report: entries filled; passthru: CDW0; abort: 1 if the target was ended.
  std::uint64_t result = 0;
  const IoStatus& status() const noexcept { return status_; }

  LbaRange range() const noexcept { return {Lba{lba}, BlockCount{blocks}}; }
  DmaSpans spans() const noexcept { return {iov, iov_count}; }

  // ---- for the module that has it
  /// Ends the request, from the Thread of its channel. Exactly once; a second call is logged and ignored.
  void complete(IoStatus status) noexcept;
  ChannelSlot& slot() const noexcept { return *slot_; }
  /// Link for the queue of the module that holds the request.
  Io* next = nullptr;
  /// Room for the module that holds the request: a trivially destructible T of at most 64 bytes. Not initialised.
  template <class T>
  T& context() noexcept {
    static_assert(sizeof(T) <= context_bytes && alignof(T) <= alignof(std::max_align_t));
    static_assert(std::is_trivially_destructible_v<T>);
    return *reinterpret_cast<T*>(context_);
  }
  static constexpr std::size_t context_bytes = 64;

  /// Takes over what `other` asks for: how a request is sent on to a device below.
  void assign_request(const Io& other) noexcept {
    type = other.type;
    fua = other.fua;
    zone_action = other.zone_action;
    iov_count = other.iov_count;
    iov = other.iov;
    lba = other.lba;
    blocks = other.blocks;
    metadata = other.metadata;
    source_lba = other.source_lba;
    write_iov_count = other.write_iov_count;
    zone_count = other.zone_count;
    result = 0;
  }

  // ---- for the submitter
  void set_on_complete(OnComplete on_complete) noexcept { on_complete_ = on_complete; }

 protected:
  /// Of a request that is not submitted, and why; success: that may still come.
  void set_status(IoStatus status) noexcept { status_ = status; }

 private:
  friend class ChannelSlot;
  OnComplete on_complete_ = nullptr;
  IoStatus status_;
  // Set by every submit.
  ChannelSlot* slot_;
  std::uint64_t start_ticks_;  ///< 0: this request is not timed
  alignas(std::max_align_t) std::byte context_[context_bytes];
};

}  // namespace spdkio::bdev
