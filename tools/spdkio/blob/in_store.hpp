// What every action on a store begins and ends with.
#pragma once

#include <spdkio/blob/blobstore.hpp>
#include <spdkio/runtime/task.hpp>

#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace spdkio::tool {

/// Loads, does `work`, and unloads whatever happens.
template <class T, class F>
Task<T> in_store(std::string bdev, F work, bool recover = false) {
  const blob::LoadOptions options{.recover = recover};
  blob::Blobstore store = co_await blob::Blobstore::load(bdev, options);
  std::optional<T> result;
  std::exception_ptr failure;
  try {
    result = co_await work(store);
  } catch (...) {
    failure = std::current_exception();
  }
  co_await store.unload();
  if (failure) std::rethrow_exception(failure);
  co_return std::move(*result);
}

}  // namespace spdkio::tool
