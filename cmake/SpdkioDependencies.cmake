# Third-party libraries, all from the distribution. Those of the library itself are also found by the installed package
# (spdkioConfig.cmake.in), so a change here needs one there.

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Liburing REQUIRED)
find_package(Numa REQUIRED)

set(SPDKIO_PUBLIC_DEPENDENCIES)
set(SPDKIO_PRIVATE_DEPENDENCIES
  fmt::fmt spdlog::spdlog nlohmann_json::nlohmann_json Liburing::liburing Numa::numa)

if(SPDKIO_BUILD_TOOLS)
  find_package(CLI11 REQUIRED)
endif()
if(SPDKIO_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()
if(SPDKIO_BUILD_BENCH)
  find_package(benchmark REQUIRED)
endif()
