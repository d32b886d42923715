// What the library finds in the shared object.
#include "engine_spdk/spdk_engine.hpp"

/// See `start_engine_module` of app/engine_module.hpp.
extern "C" [[gnu::visibility("default")]] spdkio::engine::Engine* spdkio_start_engine(const char* library_version,
                                                                                      const spdkio::EnvOptions& options,
                                                                                      bool main_on_caller) {
  return spdkio::spdk::start_spdk_engine(library_version, options, main_on_caller);
}
