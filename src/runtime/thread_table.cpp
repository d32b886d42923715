#include "runtime/thread_table.hpp"

#include <algorithm>
#include <utility>

namespace spdkio::detail {

ThreadTable& ThreadTable::instance() {
  static ThreadTable& table = *new ThreadTable;  // a Thread may end during or after the destructors of the program
  return table;
}

void ThreadTable::add(std::shared_ptr<Mailbox> mailbox) {
  const std::lock_guard lock(mutex_);
  mailboxes_.push_back(std::move(mailbox));
}

void ThreadTable::remove(const Mailbox& mailbox) noexcept {
  const std::lock_guard lock(mutex_);
  std::erase_if(mailboxes_, [&](const auto& known) { return known.get() == &mailbox; });
}

std::vector<std::shared_ptr<Mailbox>> ThreadTable::snapshot() const {
  const std::lock_guard lock(mutex_);
  return mailboxes_;
}

}  // namespace spdkio::detail
