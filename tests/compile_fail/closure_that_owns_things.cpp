// error: g\+\+ 12 destroys such a temporary closure twice inside co_await|only g\+\+ before 13 needs the rule
#include <spdkio/runtime/thread.hpp>

#include <cstddef>
#include <string>
#include <utility>

using namespace spdkio;

Task<std::size_t> user(ThreadHandle there, std::string text) {
#ifdef SPDKIO_BAD
  // A compiler without the defect has nothing to refuse: the case is then about that.
  static_assert(!SafeInCoAwait<decltype([text] { return text.size(); })>, "only g++ before 13 needs the rule");
  co_return co_await there.call([text] { return text.size(); });
#else
  auto by_reference = co_await there.call([&text] { return text.size(); });
  auto named = [text] { return text.size(); };
  by_reference += co_await there.call(named);
  co_return by_reference + co_await there.call(moved(std::move(named)));
#endif
}
