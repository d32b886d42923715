#include <spdkio/runtime/frame_cache.hpp>

#include <cstddef>
#include <cstring>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace spdkio::detail {
namespace {

TEST(FrameCache, GivesTheSameFrameAgain) {
  if (!frame_cache_active()) GTEST_SKIP() << "AddressSanitizer: every frame comes from the heap";
  void* first = allocate_frame(200);
  std::memset(first, 1, 200);
  free_frame(first, 200);
  void* second = allocate_frame(193);  // the same size class
  EXPECT_EQ(second, first);
  free_frame(second, 193);
  trim_frame_cache();
}

TEST(FrameCache, FramesOfEverySizeAreWritableAndApart) {
  std::vector<std::pair<unsigned char*, std::size_t>> frames;
  for (std::size_t size : {1u, 63u, 64u, 65u, 4000u, 4096u, 4097u, 100'000u}) {
    auto* frame = static_cast<unsigned char*>(allocate_frame(size));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(frame) % alignof(std::max_align_t), 0u);
    std::memset(frame, static_cast<int>(frames.size()), size);
    frames.emplace_back(frame, size);
  }
  for (std::size_t i = 0; i < frames.size(); ++i) {
    auto [frame, size] = frames[i];
    EXPECT_EQ(frame[0], i);
    EXPECT_EQ(frame[size - 1], i);
    free_frame(frame, size);
  }
  trim_frame_cache();
  trim_frame_cache();
}

TEST(FrameCache, FramesMayBeFreedOnAnotherOsThread) {
  std::vector<void*> frames;
  for (int i = 0; i < 2000; ++i) frames.push_back(allocate_frame(128));  // more than one cache keeps
  std::thread other([&] {
    for (void* frame : frames) free_frame(frame, 128);
    for (void*& frame : frames) frame = allocate_frame(128);
  });
  other.join();  // its cache went back to the heap
  for (void* frame : frames) free_frame(frame, 128);
  trim_frame_cache();
}

struct FreesLate {
  void* frame = nullptr;
  ~FreesLate() {
    free_frame(frame, 256);
    free_frame(allocate_frame(256), 256);
  }
};

TEST(FrameCache, MayBeUsedByLateDestructorsOfAnOsThread) {
  std::thread other([] {
    thread_local FreesLate late;  // constructed before the cache is used, so destroyed after it
    late.frame = allocate_frame(256);
  });
  other.join();
}

}  // namespace
}  // namespace spdkio::detail
