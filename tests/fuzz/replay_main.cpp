// Stands in for libFuzzer where there is none: feeds every file of the given files and folders to the fuzzer once, each
// also cut short at every power of two and with single bits flipped, from a fixed seed.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr int mutations_per_input = 200;

void run(const Bytes& input) { LLVMFuzzerTestOneInput(input.data(), input.size()); }

void replay(const std::filesystem::path& path, std::minstd_rand& random) {
  std::ifstream file{path, std::ios::binary};
  const Bytes input{std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
  run(input);
  for (std::size_t length = 1; length < input.size(); length *= 2) {
    run(Bytes(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(length)));
  }
  for (int i = 0; i < mutations_per_input && !input.empty(); ++i) {
    Bytes changed = input;
    const std::size_t at = random() % changed.size();
    changed[at] = static_cast<std::uint8_t>(changed[at] ^ (1U << (random() % 8)));
    run(changed);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::minstd_rand random{1};
  std::size_t count = 0;
  run({});
  for (int i = 1; i < argc; ++i) {
    if (std::filesystem::is_directory(argv[i])) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator{argv[i]}) {
        if (entry.is_regular_file()) {
          replay(entry.path(), random);
          ++count;
        }
      }
    } else {
      replay(argv[i], random);
      ++count;
    }
  }
  if (count == 0) {
    std::fputs("no input: name files or folders\n", stderr);
    return 2;
  }
  std::printf("%zu inputs\n", count);
  return 0;
}
