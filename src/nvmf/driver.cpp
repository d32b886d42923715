#include "nvmf/driver.hpp"

#include <atomic>

namespace spdkio::nvmf {
namespace {

std::atomic<Driver*> installed{nullptr};

}  // namespace

Driver* Driver::current() noexcept { return installed.load(std::memory_order_acquire); }
void Driver::install(Driver* driver) noexcept { installed.store(driver, std::memory_order_release); }

}  // namespace spdkio::nvmf
