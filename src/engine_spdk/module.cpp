// What the library finds in the shared object.
#include <spdkio/engine/engine.hpp>
#include <spdkio/engine/options.hpp>

#include <string_view>

#include "engine_spdk/spdk_engine.hpp"

/// See `StartEngine` of app/engine_module.hpp.
extern "C" [[gnu::visibility("default")]] spdkio::engine::Engine* spdkio_start_engine(const char* library_version,
                                                                                      const spdkio::EnvOptions& options,
                                                                                      bool main_on_caller) {
  if (std::string_view(library_version) != SPDKIO_VERSION) return nullptr;
  using spdkio::embedded::MainReactor;
  return new spdkio::spdk::SpdkEngine(options, main_on_caller ? MainReactor::caller : MainReactor::own_thread);
}
