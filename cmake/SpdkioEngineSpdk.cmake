# The spdk engine: src/engine_spdk and an installed SPDK, as one shared object that the library loads by name, and as an
# archive that a program links in.
#
#   SPDKIO_SPDK = AUTO | ON | OFF      whether to build it; ON makes a missing SPDK an error
#   PKG_CONFIG_PATH, CMAKE_PREFIX_PATH where SPDK was installed to, when pkg-config does not know
include_guard(GLOBAL)
include(SpdkioFindSpdk)

set(SPDKIO_SPDK AUTO CACHE STRING "Build the spdk engine: AUTO (when pkg-config finds SPDK), ON, OFF")
set_property(CACHE SPDKIO_SPDK PROPERTY STRINGS AUTO ON OFF)
option(SPDKIO_TOOL_LINK_SPDK "Link the spdk engine into the spdkio program" OFF)

set(SPDKIO_MINIMUM_SPDK 24.9)

function(_spdkio_no_spdk reason)
  if(SPDKIO_SPDK STREQUAL "ON" OR SPDKIO_TOOL_LINK_SPDK)
    message(FATAL_ERROR "The spdk engine was asked for, but ${reason}")
  endif()
  message(STATUS "spdk engine: not built, ${reason}")
endfunction()

function(spdkio_add_engine_spdk)
  if(NOT SPDKIO_SPDK STREQUAL "AUTO" AND NOT SPDKIO_SPDK)
    if(SPDKIO_TOOL_LINK_SPDK)
      message(FATAL_ERROR "SPDKIO_TOOL_LINK_SPDK needs the spdk engine, which SPDKIO_SPDK=${SPDKIO_SPDK} leaves out")
    endif()
    message(STATUS "spdk engine: not built (SPDKIO_SPDK=${SPDKIO_SPDK})")
    return()
  endif()
  spdkio_find_spdk(GLOBAL)
  if(NOT spdk_FOUND)
    if(spdk_ERROR_KIND STREQUAL "NOT_FOUND")
      _spdkio_no_spdk("pkg-config does not find SPDK: install SPDK 24.09 or newer (./configure --with-shared && make install) and name its lib/pkgconfig in PKG_CONFIG_PATH")
    else()
      _spdkio_no_spdk("${spdk_ERROR}")
    endif()
    return()
  endif()
  if(spdk_VERSION VERSION_LESS SPDKIO_MINIMUM_SPDK)
    _spdkio_no_spdk("it needs SPDK 24.09 or newer, and found '${spdk_VERSION}' in ${spdk_INCLUDE_DIRS}")
    return()
  endif()

  _spdkio_split_sources(src/engine_spdk sources tests)
  set(module "${PROJECT_SOURCE_DIR}/src/engine_spdk/module.cpp")
  set(linked "${PROJECT_SOURCE_DIR}/src/engine_spdk/linked.cpp")
  list(REMOVE_ITEM sources "${module}" "${linked}")
  add_library(spdkio_engine_spdk_objects OBJECT ${sources})
  set(targets spdkio_engine_spdk_objects)

  # A program that links it finds the engine by a static object in the archive, which no code names: -u is what makes
  # the linker take it. Beside that, an archive with its link line is all that a foreign build needs; installed object
  # files would be linked without -u, but every build system but CMake would have to be given them one by one.
  add_library(spdkio_engine_spdk_static STATIC "${linked}" $<TARGET_OBJECTS:spdkio_engine_spdk_objects>)
  add_library(spdkio::engine_spdk ALIAS spdkio_engine_spdk_static)
  set_target_properties(spdkio_engine_spdk_static PROPERTIES OUTPUT_NAME spdkio-engine-spdk EXPORT_NAME engine_spdk)
  target_link_options(spdkio_engine_spdk_static INTERFACE "LINKER:-u,spdkio_linked_engine_spdk")
  target_include_directories(spdkio_engine_spdk_static PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(spdkio_engine_spdk_static PUBLIC spdkio::spdkio PRIVATE spdkio::sys $<BUILD_INTERFACE:spdkio_warnings>)
  set(forms "to be linked in")

  # A program's static copy of the library and the module would each have their own.
  if(BUILD_SHARED_LIBS)
    add_library(spdkio_engine_spdk MODULE "${module}" $<TARGET_OBJECTS:spdkio_engine_spdk_objects>)
    set_target_properties(spdkio_engine_spdk PROPERTIES
      OUTPUT_NAME spdkio-engine-spdk
      # Not beside the library: programs of the build tree find it when SPDKIO_ENGINE_PATH says so.
      LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/engines")
    # What SPDK and DPDK define stays inside; ours is shared with the library.
    target_link_options(spdkio_engine_spdk PRIVATE "LINKER:--exclude-libs,ALL" "LINKER:-z,defs")
    list(APPEND targets spdkio_engine_spdk)
    set(forms "as a module and ${forms}")
  endif()

  foreach(target IN LISTS targets)
    _spdkio_compile_settings(${target})
    target_compile_definitions(${target} PRIVATE SPDKIO_VERSION="${PROJECT_VERSION}")
    target_link_libraries(${target} PRIVATE spdkio::spdkio ${SPDKIO_ALL_DEPENDENCIES} spdkio::sys)
  endforeach()
  message(STATUS "spdk engine: built with the SPDK ${spdk_VERSION} that pkg-config finds, ${forms}")

  if(SPDKIO_BUILD_BENCH)
    add_executable(bench_spdk_callbacks bench/spdk/callbacks.cpp)
    target_link_libraries(bench_spdk_callbacks PRIVATE spdkio::sys spdkio_warnings)
    add_executable(bench_spdk_coroutines bench/spdk/coroutines.cpp)
    target_link_libraries(bench_spdk_coroutines PRIVATE spdkio::spdkio spdkio_warnings)
    if(BUILD_SHARED_LIBS)
      add_dependencies(bench_spdk_coroutines spdkio_engine_spdk)
    else()
      target_link_libraries(bench_spdk_coroutines PRIVATE spdkio::engine_spdk)
    endif()
  endif()
  if(SPDKIO_INSTALL)
    if(BUILD_SHARED_LIBS)
      install(TARGETS spdkio_engine_spdk LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT lib)
    endif()
    install(TARGETS spdkio_engine_spdk_static EXPORT spdkioEngineSpdkTargets
      ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT dev)
  endif()
  set(SPDKIO_BUILT_WITH_SPDK "${spdk_VERSION}" PARENT_SCOPE)
endfunction()
