// Not a fuzzer of ours: a planted fault behind a four-byte word, which only a run that follows coverage, or that
// replays the stored input, reaches.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size >= 4 && data[0] == 'N' && data[1] == 'V' && data[2] == 'M' && data[3] == 'e') {
    std::fputs("canary: the planted fault was reached\n", stderr);
    std::abort();
  }
  return 0;
}
