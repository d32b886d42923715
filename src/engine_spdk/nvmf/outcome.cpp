#include "engine_spdk/nvmf/outcome.hpp"

#include <fmt/format.h>

#include <cerrno>

namespace spdkio::spdk {

Error Outcome::error(const std::string& what) const {
  const std::string text = said.empty() ? what : fmt::format("{}: {}", what, said);
  // Where SPDK has no errno it says -1.
  const int code = rc == -EPERM ? EIO : rc < 0 ? -rc : rc;
  return Error::from_errno(code, text);
}

}  // namespace spdkio::spdk
