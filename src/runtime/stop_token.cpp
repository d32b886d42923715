#include <spdkio/runtime/stop_token.hpp>

#include <utility>

namespace spdkio::detail {

struct StopBridge::Link final : Message, std::enable_shared_from_this<Link> {
  std::shared_ptr<Mailbox> mailbox;
  StopState* target = nullptr;  // owner Thread only; null once disconnected
  std::shared_ptr<Link> keep_alive;

  void run() noexcept override {
    const auto keep = std::exchange(keep_alive, nullptr);
    if (target != nullptr) target->request_stop();
  }
  void abandon() noexcept override { const auto keep = std::exchange(keep_alive, nullptr); }
};

void StopBridge::OnStop::operator()() const noexcept {
  link->keep_alive = link;
  if (!link->mailbox->push(*link)) link->keep_alive = nullptr;
}

void StopBridge::connect(std::stop_token token, StopState& target) {
  if (token.stop_requested()) {
    target.request_stop();
    return;
  }
  if (!token.stop_possible()) return;
  link_ = std::make_shared<Link>();
  link_->mailbox = ThreadCore::require_current("with_stop_token").mailbox();
  link_->target = &target;
  callback_.emplace(std::move(token), OnStop{link_});
}

void StopBridge::disconnect() noexcept {
  callback_.reset();
  if (link_ != nullptr) link_->target = nullptr;
  link_ = nullptr;
}

}  // namespace spdkio::detail
