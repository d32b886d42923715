// Runs the checks and writes what they found.
#pragma once

#include "spdkio/doctor/check.hpp"
#include "spdkio/terminal/terminal.hpp"

#include <string>
#include <vector>

namespace spdkio::tool {

std::vector<Section> examine(const Surroundings& here);
/// `quiet` leaves out what is ok.
void print_findings(const Terminal& terminal, const std::vector<Section>& sections, bool quiet);
nlohmann::ordered_json findings_json(const std::vector<Section>& sections);

}  // namespace spdkio::tool
