// Identify data for people.
#pragma once

#include "spdkio/terminal/terminal.hpp"

#include <spdkio/nvme/controller.hpp>

#include <vector>

namespace spdkio::tool {

/// What is worth knowing of a controller, a fact a line.
void print_controller(const Terminal& out, const nvme::Controller& controller);
/// One line each.
void print_namespace_table(const Terminal& out, const std::vector<nvme::Namespace>& namespaces);
/// All that is known of one, with its formats.
void print_namespace(const Terminal& out, const nvme::NamespaceInfo& info);

}  // namespace spdkio::tool
