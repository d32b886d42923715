// Bytes of an NVMe/TCP connection, parsed whole and in pieces: what the handler hears must not depend on how they came,
// and nothing may be written outside of the memory that it gave.
#include <spdkio/base/crc32c.hpp>
#include <spdkio/engine/dma_span.hpp>
#include <spdkio/spec/tcp_pdu.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "nvme/tcp/pdu_reader.hpp"

namespace {

using namespace spdkio;
using nvme::tcp::Accept;
using nvme::tcp::DataTarget;
using nvme::tcp::ReceiveStatus;

/// Writes down what it hears; every `refuse_every`th PDU with data has to wait once.
class Recorder final : public nvme::tcp::PduHandler {
 public:
  explicit Recorder(unsigned refuse_every) : refuse_every_(refuse_every) {}

  Accept pdu_announced(const spec::tcp::CommonHeader& header, std::uint32_t data_bytes,
                       DataTarget& target) noexcept override {
    if (data_bytes > 0 && refuse_every_ != 0 && !waited_ && ++with_data_ % refuse_every_ == 0) {
      waited_ = true;
      return Accept::later;
    }
    waited_ = false;
    note("announced", header, data_bytes);
    data_bytes_ = data_bytes;
    if (data_bytes == 0 || data_bytes > memory_.size()) return Accept::yes;  // received and dropped
    // In three pieces with guards between them.
    const std::size_t third = data_bytes / 3;
    memory_.fill(std::byte{0xEE});
    spans_ = {DmaSpan::from_registered(memory_.data(), third),
              DmaSpan::from_registered(memory_.data() + third + 8, third),
              DmaSpan::from_registered(memory_.data() + 2 * third + 16, data_bytes - 2 * third)};
    target.spans = spans_;
    return Accept::yes;
  }
  bool pdu_complete(const spec::tcp::CommonHeader& header, bool data_digest_right) noexcept override {
    note(data_digest_right ? "complete" : "digest", header, data_bytes_);
    if (data_bytes_ == 0 || data_bytes_ > memory_.size()) return true;
    const std::size_t third = data_bytes_ / 3;
    for (std::size_t i = 0; i < 8; ++i) {
      if (memory_[third + i] != std::byte{0xEE} || memory_[2 * third + 8 + i] != std::byte{0xEE}) std::abort();
    }
    for (const DmaSpan& span : spans_) crc_ = crc32c(crc_, span.bytes());
    return true;
  }
  void protocol_violated(spec::tcp::Violation violation, std::span<const std::byte> header) noexcept override {
    story_ += "violation " + std::to_string(static_cast<unsigned>(violation.error)) + ' ' +
              std::to_string(violation.information) + ' ' + std::to_string(header.size()) + '\n';
  }
  const std::string& story() const { return story_; }
  std::uint32_t crc() const { return crc_; }

 private:
  void note(const char* what, const spec::tcp::CommonHeader& header, std::uint32_t data_bytes) {
    story_ += what;
    story_ += ' ' + std::to_string(static_cast<unsigned>(header.type)) + ' ' + std::to_string(data_bytes) + ' ';
    story_ += std::to_string(crc32c({reinterpret_cast<const std::byte*>(&header), header.hlen})) + '\n';
  }
  unsigned refuse_every_;
  unsigned with_data_ = 0;
  bool waited_ = false;
  std::uint32_t data_bytes_ = 0;
  std::uint32_t crc_ = 0;
  std::string story_;
  std::array<DmaSpan, 3> spans_{};
  std::array<std::byte, 4096 + 64> memory_{};
};

Recorder parse(const spec::tcp::ReceiveRules& rules, std::span<const std::byte> bytes, std::size_t piece,
               unsigned refuse_every) {
  Recorder recorder(refuse_every);
  nvme::tcp::PduReader reader(rules);
  while (!bytes.empty()) {
    const std::size_t size = std::min(piece, bytes.size());
    // In memory of its own, so that a read behind its end is seen.
    const std::vector<std::byte> part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    bytes = bytes.subspan(size);
    ReceiveStatus status = reader.feed(part, recorder);
    while (reader.waits_for_room()) status = reader.resume(recorder);
    if (status == ReceiveStatus::stopped) break;
  }
  return recorder;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const unsigned choice = data[0];
  const std::size_t piece = data[1] + std::size_t{1};
  const spec::tcp::ReceiveRules rules{.from_host = (choice & 1) != 0,
                                      .header_digest = (choice & 2) != 0,
                                      .data_digest = (choice & 4) != 0,
                                      .alignment = (choice & 8) != 0 ? 64u : 4u,
                                      .max_capsule_data = 8192,
                                      .max_data = (choice & 16) != 0 ? 4096u : 0u};
  const auto bytes = std::as_bytes(std::span(data + 2, size - 2));
  const Recorder whole = parse(rules, bytes, bytes.size() + 1, 0);
  const Recorder pieces = parse(rules, bytes, piece, 0);
  const Recorder waiting = parse(rules, bytes, piece, 2);
  if (whole.story() != pieces.story() || whole.crc() != pieces.crc()) std::abort();
  if (whole.story() != waiting.story() || whole.crc() != waiting.crc()) std::abort();
  return 0;
}
