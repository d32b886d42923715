// What App may do with Env beyond the public.
#pragma once

#include <spdkio/app/env.hpp>

namespace spdkio::detail {

struct EnvAccess {
  /// `main_on_caller`: see app::EngineEntry.
  static Env start(EnvOptions options, bool main_on_caller);
};

}  // namespace spdkio::detail
