// error: (constraint|constraints not satisfied)
#include <spdkio/runtime/completion.hpp>

using namespace spdkio;

void user() {
#ifdef SPDKIO_BAD
  auto pair = completion<int&>();
#else
  auto pair = completion<int*>();
#endif
  pair.completer.set_value(nullptr);
}
