// Ends with 0 if the name given was entered into the table, with 3 if it was not.
#include "registry.hpp"

#include <cstdio>

#ifdef THROUGH_MIDDLE
bool middle_entered(const char* name);
#else
static bool middle_entered(const char* name) { return toy::entered(name); }
#endif

static_assert(TOY_ANSWER == 42, "the definition of the .pc file has arrived");

int main(int argc, char** argv) {
  if (argc != 2) {
    return 2;
  }
  const bool found = middle_entered(argv[1]);
  std::printf("%s: %s\n", argv[1], found ? "entered" : "not entered");
  return found ? 0 : 3;
}
