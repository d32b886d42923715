# Third-party libraries, all from the distribution. The table says once what each is for our build, for a project that
# finds the installed package, for pkg-config, and for the Debian package.

set(SPDKIO_PUBLIC_DEPENDENCIES)   # named in public headers
set(SPDKIO_PRIVATE_DEPENDENCIES)  # linked, never named there
set(SPDKIO_BUILD_DEPENDENCIES)    # headers used inside the library, nothing to link
set(SPDKIO_FIND_DEPENDENCIES "")
set(SPDKIO_PKGCONFIG_REQUIRES)
set(SPDKIO_DEBIAN_DEPENDS)

# spdkio_dependency(<package> <target> SCOPE PUBLIC|PRIVATE|BUILD [PKGCONFIG <module>] DEBIAN <package>)
macro(spdkio_dependency package target)
  cmake_parse_arguments(arg "" "SCOPE;PKGCONFIG;DEBIAN" "" ${ARGN})
  find_package(${package} REQUIRED)
  list(APPEND SPDKIO_${arg_SCOPE}_DEPENDENCIES ${target})
  if(NOT arg_SCOPE STREQUAL "BUILD" AND (arg_SCOPE STREQUAL "PUBLIC" OR NOT BUILD_SHARED_LIBS))
    string(APPEND SPDKIO_FIND_DEPENDENCIES "find_dependency(${package})\n")
    list(APPEND SPDKIO_DEBIAN_DEPENDS ${arg_DEBIAN})
    if(arg_PKGCONFIG)
      list(APPEND SPDKIO_PKGCONFIG_REQUIRES ${arg_PKGCONFIG})
    endif()
  endif()
endmacro()

find_package(Threads REQUIRED)
spdkio_dependency(fmt fmt::fmt SCOPE PUBLIC PKGCONFIG fmt DEBIAN libfmt-dev)
spdkio_dependency(spdlog spdlog::spdlog SCOPE PRIVATE PKGCONFIG spdlog DEBIAN libspdlog-dev)
spdkio_dependency(Liburing Liburing::liburing SCOPE PRIVATE PKGCONFIG liburing DEBIAN liburing-dev)
spdkio_dependency(Numa Numa::numa SCOPE PRIVATE PKGCONFIG numa DEBIAN libnuma-dev)
spdkio_dependency(nlohmann_json nlohmann_json::nlohmann_json SCOPE PUBLIC PKGCONFIG nlohmann_json DEBIAN nlohmann-json3-dev)

# What our own components, tools and tests compile against.
set(SPDKIO_ALL_DEPENDENCIES
  Threads::Threads ${SPDKIO_PUBLIC_DEPENDENCIES} ${SPDKIO_PRIVATE_DEPENDENCIES} ${SPDKIO_BUILD_DEPENDENCIES})

if(SPDKIO_BUILD_TOOLS)
  find_package(CLI11 REQUIRED)
endif()
if(SPDKIO_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()
if(SPDKIO_BUILD_BENCH)
  find_package(benchmark REQUIRED)
endif()
