#include "nvmf/subsystem_view.hpp"

#include <utility>

#include "nvmf/queue.hpp"

namespace spdkio::nvmf {

void SubsystemView::add(std::shared_ptr<const NamespaceTraits> traits) {
  auto view = std::make_unique<NamespaceView>();
  view->block_size = traits->block_size();
  view->channel = IoChannel(traits->device->acquire_slot());
  const std::uint32_t nsid = traits->nsid;
  view->traits = std::move(traits);
  if (namespaces_.size() < nsid) namespaces_.resize(nsid);
  namespaces_[nsid - 1] = std::move(view);
}

Task<> SubsystemView::remove(std::uint32_t nsid) {
  if (find(nsid) == nullptr) co_return;
  const std::unique_ptr<NamespaceView> view = std::move(namespaces_[nsid - 1]);
  view->removed = true;
  // Those that wait find no such namespace when they go on.
  while (view->in_flight != 0) co_await view->idle.wait();
}

Task<> SubsystemView::pause() {
  paused_ = true;
  idle_.reset();
  while (in_flight_ != 0) {
    co_await idle_.wait();
    idle_.reset();
  }
}

void SubsystemView::resume() {
  paused_ = false;
  Request* request = std::exchange(parked_head_, nullptr);
  parked_tail_ = &parked_head_;
  while (request != nullptr) {
    Request* const next = request->next_request;
    request->queue->go_on(*request);
    request = next;
  }
}

void SubsystemView::park(Request& request) noexcept {
  request.stage = Stage::parked;
  request.next_request = nullptr;
  *parked_tail_ = &request;
  parked_tail_ = &request.next_request;
}

void SubsystemView::unpark(Request& request) noexcept {
  Request** link = &parked_head_;
  while (*link != nullptr && *link != &request) link = &(*link)->next_request;
  if (*link == nullptr) return;
  *link = request.next_request;
  if (parked_tail_ == &request.next_request) parked_tail_ = link;
}

}  // namespace spdkio::nvmf
