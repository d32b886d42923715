#include <spdkio/runtime/frame_cache.hpp>

#include <array>
#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define SPDKIO_FRAMES_FROM_HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SPDKIO_FRAMES_FROM_HEAP 1
#endif
#endif

namespace spdkio::detail {

#ifdef SPDKIO_FRAMES_FROM_HEAP
void* allocate_frame(std::size_t bytes) { return ::operator new(bytes); }
void free_frame(void* frame, std::size_t bytes) noexcept { ::operator delete(frame, bytes); }
void trim_frame_cache() noexcept {}
bool frame_cache_active() noexcept { return false; }
#else

namespace {

constexpr std::size_t class_bytes = 64;
constexpr std::size_t class_count = 64;  // frames up to 4 KiB; larger ones are rare and go to the heap
constexpr std::uint32_t frames_per_class = 1024;

struct FreeFrame {
  FreeFrame* next;
};

struct FreeList {
  FreeFrame* head = nullptr;
  std::uint32_t length = 0;
};

// No destructor, so that frames freed by late destructors of the OS thread still find it; `Trimmer` empties it.
struct Cache {
  std::array<FreeList, class_count> lists{};
  bool retired = false;
};
constinit thread_local Cache cache;

struct Trimmer {
  bool armed = false;
  ~Trimmer() {
    cache.retired = true;
    trim_frame_cache();
  }
};
thread_local Trimmer trimmer;

constexpr std::size_t class_of(std::size_t bytes) { return (bytes + class_bytes - 1) / class_bytes - 1; }
constexpr std::size_t bytes_of(std::size_t index) { return (index + 1) * class_bytes; }

}  // namespace

void* allocate_frame(std::size_t bytes) {
  const std::size_t index = class_of(bytes);
  if (index >= class_count) [[unlikely]]
    return ::operator new(bytes);
  FreeList& list = cache.lists[index];
  if (list.head != nullptr) [[likely]] {
    FreeFrame* frame = list.head;
    list.head = frame->next;
    --list.length;
    return frame;
  }
  trimmer.armed = true;  // first use registers the destructor
  return ::operator new(bytes_of(index));
}

void free_frame(void* frame, std::size_t bytes) noexcept {
  const std::size_t index = class_of(bytes);
  if (index >= class_count) [[unlikely]] {
    ::operator delete(frame);
    return;
  }
  FreeList& list = cache.lists[index];
  if (list.length >= frames_per_class || cache.retired) [[unlikely]] {
    ::operator delete(frame);
    return;
  }
  auto* free = static_cast<FreeFrame*>(frame);
  free->next = list.head;
  list.head = free;
  ++list.length;
}

bool frame_cache_active() noexcept { return true; }

void trim_frame_cache() noexcept {
  for (FreeList& list : cache.lists) {
    while (list.head != nullptr) {
      FreeFrame* frame = list.head;
      list.head = frame->next;
      ::operator delete(frame);
    }
    list.length = 0;
  }
}

#endif

}  // namespace spdkio::detail
