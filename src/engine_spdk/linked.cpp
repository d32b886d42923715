// What a program has that links the engine in.
#include "engine/linked_engine.hpp"
#include "engine_spdk/spdk_engine.hpp"

extern "C" {
/// The archive's link line asks for this name (-u): nothing else in the program does.
extern const spdkio::engine::LinkedEngine spdkio_linked_engine_spdk;
const spdkio::engine::LinkedEngine spdkio_linked_engine_spdk{"spdk", spdkio::spdk::start_spdk_engine};
}
