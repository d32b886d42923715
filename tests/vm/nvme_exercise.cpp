// nvme_exercise: our initiator at work on a controller, for tests in guests. Every block that is read is checked.
//   nvme_exercise [OPTION...] COMMAND TRANSPORT-ID [SECONDS]
//   --poll-mode busy|adaptive|interrupt, --no-huge, --no-reconnect
//   --max-blocks N   verify: no longer transfers than that
//   identify         one line for the controller and one for each namespace
//   verify           writes and reads every namespace in many ways
//   load SECONDS     sixteen writers and readers on namespace 1; says "progress N" now and then
// Exit status: 0 all was right, 1 did not start or connect, 3 an operation failed, 4 something else was read than
// written.
#include <spdkio/app/app.hpp>
#include <spdkio/base/error.hpp>
#include <spdkio/engine/dma_buf.hpp>
#include <spdkio/nvme/controller.hpp>
#include <spdkio/nvme/namespace.hpp>
#include <spdkio/nvme/qpair.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/runtime/scope.hpp>
#include <spdkio/runtime/task.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using namespace spdkio;

namespace {

constexpr int failed_status = 3;
constexpr int mismatch_status = 4;

struct Mismatch : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Arguments {
  AppOptions app;
  std::string command;
  std::string transport_id;
  std::chrono::seconds seconds{5};
  std::uint64_t max_blocks = UINT64_MAX;
  bool reconnect = true;
};

/// A word that tells version, block and place.
std::uint64_t word(std::uint64_t version, std::uint64_t block, std::uint64_t index) {
  std::uint64_t x = version * 0x9E37'79B9'7F4A'7C15 + block * 0xBF58'476D'1CE4'E5B9 + index;
  x ^= x >> 31;
  x *= 0x94D0'49BB'1331'11EB;
  return x ^ x >> 29;
}

void fill(std::span<std::byte> data, std::uint64_t version, std::uint64_t first_block, std::uint64_t block_bytes) {
  for (std::size_t at = 0; at < data.size(); at += 8) {
    const std::uint64_t value = word(version, first_block + at / block_bytes, at % block_bytes);
    std::memcpy(data.data() + at, &value, 8);
  }
}

void check(std::span<const std::byte> data, std::uint64_t version, std::uint64_t first_block, std::uint64_t block_bytes,
           const char* what) {
  for (std::size_t at = 0; at < data.size(); at += 8) {
    std::uint64_t value = 0;
    std::memcpy(&value, data.data() + at, 8);
    const std::uint64_t block = first_block + at / block_bytes;
    if (value != word(version, block, at % block_bytes)) {
      char text[200];
      std::snprintf(text, sizeof text, "%s: byte %zu of %zu (block %llu, version %llu) is %016llx instead of %016llx",
                    what, at, data.size(), static_cast<unsigned long long>(block),
                    static_cast<unsigned long long>(version), static_cast<unsigned long long>(value),
                    static_cast<unsigned long long>(word(version, block, at % block_bytes)));
      throw Mismatch(text);
    }
  }
}

void must(bool right, const std::string& what) {
  if (!right) throw Mismatch(what);
}

// ---- identify

void print_facts(const nvme::Controller& controller) {
  const auto identify = controller.identify();
  std::printf("controller serial=%s model=%s max_transfer=%u queues=%u sgls=%u oacs=%u\n",
              std::string(identify->sn.to_string()).c_str(), std::string(identify->mn.to_string()).c_str(),
              controller.max_transfer_bytes(), controller.max_io_qpairs(), identify->sgls.value() & 3u,
              static_cast<unsigned>(identify->oacs.value()));
  for (const nvme::Namespace& ns : controller.namespaces()) {
    const auto info = ns.info();
    std::printf("namespace nsid=%u blocks=%llu block_size=%u metadata=%u interleaved=%d\n", ns.nsid(),
                static_cast<unsigned long long>(info->num_blocks), info->block_size, info->metadata_size,
                info->metadata_interleaved ? 1 : 0);
  }
}

// ---- verify

/// Writes and reads `blocks` in one piece of memory, which starts `skew` bytes into a page.
Task<> whole(nvme::Namespace ns, nvme::Qpair& qpair, LbaRange range, std::size_t skew, std::uint64_t version) {
  const std::size_t bytes = ns.bytes(range.count);
  DmaBuf out(bytes + skew);
  DmaBuf in(bytes + skew);
  DmaBuf metadata_out;
  DmaBuf metadata_in;
  const auto info = ns.info();
  nvme::NsIoOptions write_options;
  nvme::NsIoOptions read_options;
  const bool separate = info->metadata_size != 0 && !info->metadata_interleaved;
  const std::size_t metadata_bytes = separate ? range.count.value * info->metadata_size : 0;
  if (separate) {
    metadata_out = DmaBuf(metadata_bytes);
    metadata_in = DmaBuf(metadata_bytes);
    fill(metadata_out.bytes(), ~version, range.first.value, info->metadata_size);
    write_options.metadata = metadata_out.span();
    read_options.metadata = metadata_in.span();
  }
  fill(out.bytes().subspan(skew, bytes), version, range.first.value, ns.block_bytes());
  auto write = ns.write(qpair, out.subspan(skew, bytes), range, write_options);
  co_await write;
  auto read = ns.read(qpair, in.subspan(skew, bytes), range, read_options);
  co_await read;
  check(in.bytes().subspan(skew, bytes), version, range.first.value, ns.block_bytes(), "read");
  if (separate) check(metadata_in.bytes(), ~version, range.first.value, info->metadata_size, "metadata");
}

/// Reads into many small pieces in disorder what was written as one, and the other way round.
Task<> scattered(nvme::Namespace ns, nvme::Qpair& qpair, LbaRange range, std::uint64_t version) {
  if (ns.info()->metadata_size != 0) co_return;
  const std::size_t bytes = ns.bytes(range.count);
  constexpr std::size_t piece = 1024;
  constexpr std::size_t distance = 4096;
  const std::size_t count = (bytes + piece - 1) / piece;
  DmaBuf memory(count * distance);
  DmaBuf flat(bytes);
  std::vector<DmaSpan> pieces;
  for (std::size_t i = 0; i < count; ++i) {
    // From the end to the front, with gaps, and not at page boundaries.
    pieces.push_back(memory.subspan((count - 1 - i) * distance + piece, std::min(piece, bytes - i * piece)));
  }
  fill(flat.bytes(), version, range.first.value, ns.block_bytes());
  std::size_t at = 0;
  for (const DmaSpan& part : pieces) {
    std::memcpy(part.data(), flat.data() + at, part.size());
    at += part.size();
  }
  auto write = ns.write(qpair, DmaSpans(pieces), range);
  co_await write;
  flat.fill(std::byte{0});
  auto read = ns.read(qpair, flat, range);
  co_await read;
  check(flat.bytes(), version, range.first.value, ns.block_bytes(), "written from pieces");
  memory.fill(std::byte{0});
  auto read_pieces = ns.read(qpair, DmaSpans(pieces), range);
  co_await read_pieces;
  at = 0;
  for (const DmaSpan& part : pieces) {
    must(std::memcmp(part.data(), flat.data() + at, part.size()) == 0, "read into pieces");
    at += part.size();
  }
}

Task<> other_commands(nvme::Controller& controller, nvme::Namespace ns, nvme::Qpair& qpair) {
  const LbaRange range{Lba{16}, BlockCount{16}};
  DmaBuf data(ns.bytes(range.count));
  auto flush = ns.flush(qpair);
  co_await flush;
  constexpr unsigned has_compare = 1;
  constexpr unsigned has_deallocate = 4;
  constexpr unsigned has_write_zeroes = 8;
  const unsigned oncs = controller.identify()->oncs.value();
  if (ns.info()->metadata_size != 0) co_return;
  if ((oncs & has_write_zeroes) != 0) {
    auto zeroes = ns.write_zeroes(qpair, range);
    co_await zeroes;
    data.fill(std::byte{1});
    auto read = ns.read(qpair, data, range);
    co_await read;
    must(std::ranges::all_of(data.bytes(), [](std::byte byte) { return byte == std::byte{0}; }), "zeroes");
  }
  if ((oncs & has_compare) != 0) {
    fill(data.bytes(), 5, range.first.value, ns.block_bytes());
    auto write = ns.write(qpair, data, range);
    co_await write;
    auto same = ns.compare(qpair, data, range);
    co_await same;
    data[100] ^= std::byte{1};
    auto different = ns.compare(qpair, data, range);
    const auto compared = co_await as_result(different);
    must(!compared.has_value() && compared.error().nvme_status().has_value(), "compare of something else succeeded");
  }
  if ((oncs & has_deallocate) != 0) {
    auto deallocate = ns.deallocate(qpair, range);
    co_await deallocate;
  }
  // What the device refuses is an error with its status, and the queue goes on.
  const LbaRange beyond{Lba{ns.num_blocks().value}, BlockCount{1}};
  spec::Command command;
  command.opcode = spec::raw(spec::NvmOpcode::read);
  command.nsid = ns.nsid();
  command.set_cdw10_11(beyond.first.value);
  auto read = qpair.execute(command, data.subspan(0, ns.bytes(beyond.count)));
  const auto refused = co_await as_result(read);
  must(!refused.has_value() && refused.error().nvme_status().has_value(), "a read beyond the end succeeded");
}

Task<> verify(nvme::Controller& controller, std::uint64_t max_blocks) {
  nvme::Qpair qpair = co_await controller.alloc_io_qpair();
  for (const nvme::Namespace& ns : controller.namespaces()) {
    const std::uint64_t in_64k = 65536 / ns.info()->block_size;
    std::uint64_t version = 1;
    const std::vector<std::uint64_t> counts{1, 3, 8, in_64k, 16 * in_64k, 16 * in_64k + 1};
    const std::vector<std::size_t> skews{0, 512, 2052};
    for (const std::uint64_t count : counts) {
      if (count > max_blocks) continue;
      for (const std::size_t skew : skews) {
        const LbaRange range{Lba{7 * version}, BlockCount{count}};
        co_await whole(ns, qpair, range, skew, version);
        ++version;
      }
      const LbaRange range{Lba{11}, BlockCount{count}};
      if (controller.identify()->sgls.value() != 0 && count <= in_64k) co_await scattered(ns, qpair, range, version++);
    }
    const LbaRange last{Lba{ns.num_blocks().value - 8}, BlockCount{8}};
    co_await whole(ns, qpair, last, 0, version);
    co_await other_commands(controller, ns, qpair);
    std::printf("verified nsid=%u\n", ns.nsid());
  }
  co_await qpair.close();
}

// ---- load

struct Load {
  nvme::Namespace ns;
  nvme::Qpair& qpair;
  std::chrono::steady_clock::time_point end;
  std::uint64_t operations = 0;
};

Task<> load_worker(Load& load, std::uint64_t number) {
  constexpr std::uint64_t blocks = 8;
  constexpr std::uint64_t places = 16;
  DmaBuf buf(load.ns.bytes(BlockCount{blocks}));
  for (std::uint64_t version = 1; std::chrono::steady_clock::now() < load.end; ++version) {
    const std::uint64_t first = (number * places + version % places) * blocks;
    const LbaRange range{Lba{first}, BlockCount{blocks}};
    fill(buf.bytes(), version, first, load.ns.block_bytes());
    auto write = load.ns.write(load.qpair, buf, range);
    co_await write;
    buf.fill(std::byte{0});
    auto read = load.ns.read(load.qpair, buf, range);
    co_await read;
    check(buf.bytes(), version, first, load.ns.block_bytes(), "load");
    load.operations += 2;
    if (load.operations % 256 == 0) std::printf("progress %llu\n", static_cast<unsigned long long>(load.operations));
  }
}

Task<> run_load(nvme::Controller& controller, std::chrono::seconds seconds) {
  constexpr std::uint64_t workers = 16;
  nvme::Qpair qpair = co_await controller.alloc_io_qpair();
  Load load{controller.ns(1), qpair, std::chrono::steady_clock::now() + seconds};
  {
    Scope scope("load");
    for (std::uint64_t i = 0; i < workers; ++i) scope.spawn(load_worker(load, i));
    co_await scope.join();
  }
  co_await qpair.close();
  std::printf("done %llu connections %llu\n", static_cast<unsigned long long>(load.operations),
              static_cast<unsigned long long>(controller.connections()));
}

// ----

Task<> work(nvme::Controller& controller, const Arguments& arguments) {
  if (arguments.command == "identify") {
    print_facts(controller);
  } else if (arguments.command == "verify") {
    co_await verify(controller, arguments.max_blocks);
  } else if (arguments.command == "load") {
    co_await run_load(controller, arguments.seconds);
  } else {
    throw Error(Misuse::invalid_argument, "no such command: " + arguments.command);
  }
}

Task<int> exercise(const Arguments& arguments) {
  nvme::ControllerOptions options;
  options.reconnect.enabled = arguments.reconnect;
  options.keep_alive = std::chrono::seconds{5};
  const auto id = nvme::TransportId::parse(arguments.transport_id);
  auto connecting = nvme::Controller::connect(id, options);
  nvme::Controller controller = co_await std::move(connecting);
  std::puts("connected");
  int status = 0;
  auto working = work(controller, arguments);
  try {
    co_await std::move(working);
  } catch (const Mismatch& mismatch) {
    std::printf("mismatch: %s\n", mismatch.what());
    status = mismatch_status;
  } catch (const std::exception& error) {
    std::printf("error: %s\n", error.what());
    status = failed_status;
  }
  co_await controller.detach();
  std::puts("detached");
  co_return status;
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  arguments.app.name = "nvme_exercise";
  std::vector<std::string> words;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--no-huge") {
      arguments.app.no_huge = true;
    } else if (word == "--no-reconnect") {
      arguments.reconnect = false;
    } else if (word == "--max-blocks" && i + 1 < argc) {
      arguments.max_blocks = std::stoull(argv[++i]);
    } else if (word == "--poll-mode" && i + 1 < argc) {
      arguments.app.poll_mode = poll_mode_from(argv[++i]).value();
    } else {
      words.emplace_back(word);
    }
  }
  if (words.size() < 2) {
    std::fputs("usage: nvme_exercise [options] identify|verify|load TRANSPORT-ID [SECONDS]\n", stderr);
    std::exit(2);
  }
  arguments.command = words[0];
  arguments.transport_id = words[1];
  if (words.size() > 2) arguments.seconds = std::chrono::seconds{std::stoi(words[2])};
  return arguments;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const Arguments arguments = parse(argc, argv);
  return App::run(arguments.app, [&]() -> Task<int> { return exercise(arguments); });
}
