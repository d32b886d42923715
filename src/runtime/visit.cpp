#include "runtime/visit.hpp"

namespace spdkio::detail {

Visit::Visit(ThreadCore* home, StopState* stop) noexcept
    : StopNode(on_home_stop), home_(home), home_mailbox_(home != nullptr ? home->mailbox() : nullptr) {
  if (stop == nullptr) return;
  if (stop->stop_requested()) {
    stop_.request_stop();
  } else {
    stop->add(*this);
  }
}

void Visit::depart(const std::shared_ptr<Mailbox>& to) noexcept {
  if (ThreadCore::current() == home_) away_ = true;
  leave();
  const std::lock_guard lock(mutex_);
  where_ = to;
}

void Visit::arrive() noexcept {
  ThreadCore* const here = ThreadCore::current();
  {
    const std::lock_guard lock(mutex_);
    where_ = here != nullptr ? here->mailbox() : nullptr;
  }
  if (here == home_) {
    away_ = false;
    return;
  }
  if (here == nullptr) return;
  host_ = here;
  host_->add_visitor();
  stop_.link_to(&host_->root_stop());
}

void Visit::leave() noexcept {
  if (host_ == nullptr) return;
  stop_.unlink_from_parent();
  host_->drop_visitor();
  host_ = nullptr;
}

void Visit::end() noexcept {
  unlink();
  release();
}

void Visit::on_home_stop(StopNode& node) noexcept {
  auto& self = static_cast<Visit&>(node);
  std::shared_ptr<Mailbox> to;
  {
    const std::lock_guard lock(self.mutex_);
    if (self.request_on_its_way_) return;
    self.request_on_its_way_ = true;
    to = self.where_;
  }
  self.references_.fetch_add(1, std::memory_order_relaxed);
  self.forward(to);
}

void Visit::run() noexcept {
  std::shared_ptr<Mailbox> to;
  bool here = false;
  {
    const std::lock_guard lock(mutex_);
    here = where_ == ThreadCore::current()->mailbox();
    if (here) {
      request_on_its_way_ = false;
    } else {
      to = where_;
    }
  }
  if (here) {
    stop_.request_stop();
    release();
  } else {
    forward(to);  // it moved on meanwhile
  }
}

void Visit::abandon() noexcept {
  std::shared_ptr<Mailbox> to;
  {
    const std::lock_guard lock(mutex_);
    to = where_;
  }
  forward(to);  // fails when it was on its way to the Thread that ended
}

void Visit::forward(const std::shared_ptr<Mailbox>& to) noexcept {
  if (to != nullptr && to->push(*this)) return;
  {
    const std::lock_guard lock(mutex_);
    request_on_its_way_ = false;
  }
  release();
}

void Visit::release() noexcept {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

}  // namespace spdkio::detail
