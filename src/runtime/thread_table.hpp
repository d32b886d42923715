// Every Thread that has not ended, for lookups by name and id.
#pragma once

#include <spdkio/runtime/mailbox.hpp>

#include <memory>
#include <mutex>
#include <vector>

namespace spdkio::detail {

class ThreadTable {
 public:
  static ThreadTable& instance();
  void add(std::shared_ptr<Mailbox> mailbox);
  void remove(const Mailbox& mailbox) noexcept;
  std::vector<std::shared_ptr<Mailbox>> snapshot() const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Mailbox>> mailboxes_;
};

}  // namespace spdkio::detail
