# The spdk engine: src/engine_spdk and an installed SPDK as one shared object, which the library loads by name.
#
#   SPDKIO_SPDK = AUTO | ON | OFF      whether to build it; ON makes a missing SPDK an error
#   PKG_CONFIG_PATH, CMAKE_PREFIX_PATH where SPDK was installed to, when pkg-config does not know
#
# The target spdkio::sys is SPDK itself: headers, and the link line with whole archives where parts register themselves.
include_guard(GLOBAL)
include(PkgConf)

set(SPDKIO_SPDK AUTO CACHE STRING "Build the spdk engine: AUTO (when pkg-config finds SPDK), ON, OFF")
set_property(CACHE SPDKIO_SPDK PROPERTY STRINGS AUTO ON OFF)

set(SPDKIO_MINIMUM_SPDK 24.9)

function(_spdkio_no_spdk reason)
  if(SPDKIO_SPDK STREQUAL "ON")
    message(FATAL_ERROR "SPDKIO_SPDK is ON, but ${reason}")
  endif()
  message(STATUS "spdk engine: not built, ${reason}")
endfunction()

# What SPDK this is stands in a header; the versions in its .pc files are those of single libraries.
function(_spdkio_spdk_version directories out)
  set(${out} "" PARENT_SCOPE)
  find_file(header spdk/version.h HINTS ${directories} NO_CACHE)
  if(NOT header)
    return()
  endif()
  file(STRINGS "${header}" lines REGEX "^#define SPDK_VERSION_(MAJOR|MINOR)[ \t]+[0-9]+")
  if("${lines}" MATCHES "MAJOR[ \t]+([0-9]+).*MINOR[ \t]+([0-9]+)")
    set(${out} "${CMAKE_MATCH_1}.${CMAKE_MATCH_2}" PARENT_SCOPE)
  endif()
endfunction()

function(spdkio_add_engine_spdk)
  if(NOT SPDKIO_SPDK STREQUAL "AUTO" AND NOT SPDKIO_SPDK)
    message(STATUS "spdk engine: not built (SPDKIO_SPDK=${SPDKIO_SPDK})")
    return()
  endif()
  if(NOT BUILD_SHARED_LIBS)
    # A program's static copy of the library and the module would each have their own.
    _spdkio_no_spdk("a module needs the shared library: configure with -D BUILD_SHARED_LIBS=ON")
    return()
  endif()
  set(modules spdk_event_bdev spdk_event_nvmf spdk_event_accel spdk_event_sock spdk_event_iobuf spdk_event_keyring
    spdk_event_vmd spdk_env_dpdk spdk_env_dpdk_rpc spdk_syslibs
    numa)  # of DPDK's archives, which SPDK's .pc files do not know
  # The reactors are ours, so SPDK's and the scheduler that moves threads between them stay out.
  set(without spdk_event spdk_event_scheduler)
  spdkio_pkgconf(spdkio::sys PREFIX spdk QUIET STATIC MODULES ${modules} WITHOUT ${without}
    FORCE_WHOLE_ARCHIVE "spdk_*" "rte_*")
  if(NOT spdk_FOUND AND spdk_ERROR_KIND STREQUAL "FORCE_NO_ARCHIVE")
    # Installed as shared libraries alone: those run their constructors, but keep no name to themselves.
    spdkio_pkgconf(spdkio::sys PREFIX spdk QUIET MODULES ${modules} WITHOUT ${without})
  endif()
  if(NOT spdk_FOUND)
    if(spdk_ERROR_KIND STREQUAL "NOT_FOUND")
      _spdkio_no_spdk("pkg-config does not find SPDK: install SPDK 24.09 or newer (./configure --with-shared && make install) and name its lib/pkgconfig in PKG_CONFIG_PATH")
    else()
      _spdkio_no_spdk("${spdk_ERROR}")
    endif()
    return()
  endif()

  _spdkio_spdk_version("${spdk_INCLUDE_DIRS}" version)
  if(version VERSION_LESS SPDKIO_MINIMUM_SPDK)
    _spdkio_no_spdk("it needs SPDK 24.09 or newer, and found '${version}' in ${spdk_INCLUDE_DIRS}")
    return()
  endif()

  _spdkio_split_sources(src/engine_spdk sources tests)
  add_library(spdkio_engine_spdk MODULE ${sources})
  set_target_properties(spdkio_engine_spdk PROPERTIES
    OUTPUT_NAME spdkio-engine-spdk
    # Not beside the library: programs of the build tree find it when SPDKIO_ENGINE_PATH says so.
    LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/engines")
  _spdkio_compile_settings(spdkio_engine_spdk)
  target_compile_definitions(spdkio_engine_spdk PRIVATE SPDKIO_VERSION="${PROJECT_VERSION}")
  target_link_libraries(spdkio_engine_spdk PRIVATE spdkio::spdkio ${SPDKIO_ALL_DEPENDENCIES} spdkio::sys)
  # What SPDK and DPDK define stays inside; ours is shared with the library.
  target_link_options(spdkio_engine_spdk PRIVATE "LINKER:--exclude-libs,ALL" "LINKER:-z,defs")
  message(STATUS "spdk engine: built with the SPDK ${version} that pkg-config finds")
  if(SPDKIO_BUILD_BENCH)
    add_executable(bench_spdk_callbacks bench/spdk/callbacks.cpp)
    target_link_libraries(bench_spdk_callbacks PRIVATE spdkio::sys spdkio_warnings)
    add_executable(bench_spdk_coroutines bench/spdk/coroutines.cpp)
    target_link_libraries(bench_spdk_coroutines PRIVATE spdkio::spdkio spdkio_warnings)
    add_dependencies(bench_spdk_coroutines spdkio_engine_spdk)
  endif()
  if(SPDKIO_INSTALL)
    install(TARGETS spdkio_engine_spdk LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT lib)
  endif()
endfunction()
