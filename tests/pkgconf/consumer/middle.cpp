#include "registry.hpp"

bool middle_entered(const char* name);

bool middle_entered(const char* name) { return toy::entered(name); }
