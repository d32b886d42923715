#include "registry.hpp"

#ifndef PLUGIN_NAME
#define PLUGIN_NAME "plugin"
#endif

// External, so that an archive read twice is an error and not a silent second copy.
extern const toy::Entry toy_plugin_entry;
const toy::Entry toy_plugin_entry{PLUGIN_NAME};
