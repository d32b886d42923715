// Static probes (USDT) of provider `spdkio`: a nop in the code and a note in the binary, which bpftrace, perf and
// SystemTap can attach to. docs/guides/observability.md lists them with their arguments.
#pragma once

namespace spdkio::detail {

/// False when the library was built with SPDKIO_OBSERVABILITY off: no probes, no traces, no names of stalls. For
/// measuring what they cost.
#if defined(SPDKIO_NO_OBSERVABILITY)
inline constexpr bool observable = false;
#else
inline constexpr bool observable = true;
#endif

}  // namespace spdkio::detail

#if !defined(SPDKIO_NO_OBSERVABILITY) && __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define SPDKIO_PROBE_PICK(_1, _2, _3, _4, _5, _6, macro, ...) macro
/// Marks a place: one to five arguments, integers or pointers, which must cost nothing to have at hand.
#define SPDKIO_PROBE(...)                                                                               \
  SPDKIO_PROBE_PICK(__VA_ARGS__, STAP_PROBE5, STAP_PROBE4, STAP_PROBE3, STAP_PROBE2, STAP_PROBE1, none) \
  (spdkio, __VA_ARGS__)
#define SPDKIO_HAS_PROBES 1
#else
// Without the macros of systemtap-sdt-dev, or switched off: nothing, not even a nop.
#define SPDKIO_PROBE(...) static_cast<void>(0)
#define SPDKIO_HAS_PROBES 0
#endif
