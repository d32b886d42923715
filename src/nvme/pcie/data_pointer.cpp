#include "nvme/pcie/data_pointer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace spdkio::nvme::pcie {
namespace {

/// A piece of the buffer that is one run of device addresses.
struct Run {
  std::uint64_t iova = 0;
  std::uint64_t bytes = 0;
};

/// Walks over the transfer, run by run.
class Runs {
 public:
  Runs(const Request& request, const engine::MemoryService& memory) noexcept
      : memory_(memory), iov_(request.iov), end_(request.iov + request.iov_count), left_(request.data_bytes) {
    std::uint64_t skip = request.data_offset;
    while (iov_ != end_ && skip >= iov_->size()) {
      skip -= iov_->size();
      ++iov_;
    }
    offset_ = skip;
  }

  bool done() const noexcept { return left_ == 0; }

  /// 0 or an errno.
  int next(Run& run) noexcept {
    while (iov_ != end_ && offset_ == iov_->size()) {
      ++iov_;
      offset_ = 0;
    }
    if (iov_ == end_) return EINVAL;
    const std::uint64_t bytes = std::min<std::uint64_t>(iov_->size() - offset_, left_);
    const auto range = memory_.translate(iov_->data() + offset_, bytes);
    if (!range || range->length == 0) return EFAULT;
    run = {.iova = static_cast<std::uint64_t>(range->start), .bytes = std::min<std::uint64_t>(range->length, bytes)};
    offset_ += run.bytes;
    left_ -= run.bytes;
    return 0;
  }

 private:
  const engine::MemoryService& memory_;
  const DmaSpan* iov_;
  const DmaSpan* end_;
  std::uint64_t offset_ = 0;
  std::uint64_t left_;
};

void store64(std::byte* where, std::uint64_t value) noexcept {
  const spec::Le64 stored = value;
  std::memcpy(where, &stored, sizeof stored);
}

/// EINVAL: the pieces do not meet at page boundaries.
int point_with_prps(spec::Command& command, const Request& request, const ListPage& list,
                    const engine::MemoryService& memory) noexcept {
  Runs runs(request, memory);
  std::uint32_t entries = 0;  // behind the first
  std::uint64_t first_of_list = 0;
  bool started = false;
  bool ended_in_page = false;
  while (!runs.done()) {
    Run run;
    if (const int error = runs.next(run); error != 0) return error;
    if (ended_in_page) return EINVAL;
    if (!started) {
      if (run.iova % 4 != 0) return EINVAL;
      started = true;
      command.dptr[0] = run.iova;
      const std::uint64_t in_page =
          std::min<std::uint64_t>(run.bytes, memory_page_bytes - run.iova % memory_page_bytes);
      run.iova += in_page;
      run.bytes -= in_page;
    } else if (run.iova % memory_page_bytes != 0) {
      return EINVAL;
    }
    while (run.bytes != 0) {
      if (entries == prp_list_entries) return E2BIG;
      if (entries == 0) first_of_list = run.iova;
      store64(list.memory + std::size_t{8} * entries, run.iova);
      ++entries;
      const std::uint64_t in_page = std::min<std::uint64_t>(run.bytes, memory_page_bytes);
      run.iova += in_page;
      run.bytes -= in_page;
    }
    ended_in_page = run.iova % memory_page_bytes != 0;
  }
  command.dptr[1] = entries == 0 ? 0 : entries == 1 ? first_of_list : list.iova;
  command.set_psdt(spec::Psdt::prp);
  return 0;
}

int point_with_sgl(spec::Command& command, const Request& request, const ListPage& list, SglSupport support,
                   const engine::MemoryService& memory) noexcept {
  using spec::SglDescriptor;
  const std::uint64_t alignment = support == SglSupport::dword_aligned ? 4 : 1;
  Runs runs(request, memory);
  std::uint32_t entries = 0;
  SglDescriptor descriptor;
  while (!runs.done()) {
    Run run;
    if (const int error = runs.next(run); error != 0) return error;
    if (run.iova % alignment != 0 || run.bytes % alignment != 0) return EINVAL;
    if (entries == sgl_list_entries) return E2BIG;
    descriptor = SglDescriptor::make(spec::SglType::data_block, spec::SglSubType::address, run.iova,
                                     static_cast<std::uint32_t>(run.bytes));
    std::memcpy(list.memory + sizeof descriptor * entries, &descriptor, sizeof descriptor);
    ++entries;
  }
  if (entries > 1) {
    descriptor = SglDescriptor::make(spec::SglType::last_segment, spec::SglSubType::address, list.iova,
                                     static_cast<std::uint32_t>(sizeof descriptor * entries));
  }
  command.set_sgl(descriptor);
  command.set_psdt(spec::Psdt::sgl_contiguous_metadata);
  return 0;
}

}  // namespace

int point_at_data(spec::Command& command, const Request& request, const ListPage& list, SglSupport sgl,
                  const engine::MemoryService& memory) noexcept {
  const int error = point_with_prps(command, request, list, memory);
  if (error != EINVAL || sgl == SglSupport::none) return error;
  return point_with_sgl(command, request, list, sgl, memory);
}

int point_at_metadata(spec::Command& command, const DmaSpan& metadata, const engine::MemoryService& memory) noexcept {
  const auto range = memory.translate(metadata.data(), metadata.size());
  if (!range || range->length < metadata.size()) return EFAULT;
  if (static_cast<std::uint64_t>(range->start) % 4 != 0) return EINVAL;
  command.mptr = static_cast<std::uint64_t>(range->start);
  return 0;
}

}  // namespace spdkio::nvme::pcie
