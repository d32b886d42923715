#include "bdev_modules/file/option_names.hpp"

namespace spdkio::bdev {

std::span<const rpc::EnumName<DirectIo>> rpc_names(DirectIo) {
  static constexpr rpc::EnumName<DirectIo> names[] = {
      {"auto", DirectIo::automatic}, {"on", DirectIo::on}, {"off", DirectIo::off}};
  return names;
}

std::span<const rpc::EnumName<FileBackend>> rpc_names(FileBackend) {
  static constexpr rpc::EnumName<FileBackend> names[] = {
      {"auto", FileBackend::automatic}, {"io_uring", FileBackend::io_uring}, {"threads", FileBackend::threads}};
  return names;
}

}  // namespace spdkio::bdev
