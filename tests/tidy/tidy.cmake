# House rules over the sources, as a script: cmake -D ROOT=<tree> -P tidy.cmake
#
# Every finding is one line "file:line: what is wrong; what to do instead". Lines are looked up only for findings, so a
# clean run reads each file once.

cmake_minimum_required(VERSION 3.25)

if(NOT ROOT)
  message(FATAL_ERROR "usage: cmake -D ROOT=<source tree> -P tidy.cmake")
endif()

include("${CMAKE_CURRENT_LIST_DIR}/../../cmake/Layers.cmake")

set(long_file_lines 500)

# Headers of other projects that must not reach a user of ours, as regular expressions over the included name.
set(foreign_headers "liburing" "linux/vfio" "openssl/" "spdk/" "rte_" "numa" "infiniband/" "spdlog/" "CLI/")

# Tests, and helpers that only tests include.
set(test_file "(_test\\.cpp|/test_[a-z0-9_]+\\.[hc]pp)$")

# Files whose callers are never reactors, with the reason.
set(may_block
  src/rpc/client.cpp  # the blocking client, which refuses to run on a reactor
)

set_property(GLOBAL PROPERTY findings 0)

function(report file content needle text)
  string(FIND "${content}" "${needle}" position)
  set(line 1)
  if(position GREATER 0)
    string(SUBSTRING "${content}" 0 ${position} before)
    string(REGEX MATCHALL "\n" breaks "${before}")
    list(LENGTH breaks line)
    math(EXPR line "${line} + 1")
  endif()
  get_property(count GLOBAL PROPERTY findings)
  math(EXPR count "${count} + 1")
  set_property(GLOBAL PROPERTY findings ${count})
  message(NOTICE "${file}:${line}: ${text}")
endfunction()

# Sets out to the layer a path belongs to; "umbrella" for headers directly in include/spdkio/.
function(layer_of path out)
  if(path MATCHES "^(include/spdkio|src)/([^/]+)/")
    set(${out} ${CMAKE_MATCH_2} PARENT_SCOPE)
  elseif(path MATCHES "^include/spdkio/[^/]+$")
    set(${out} umbrella PARENT_SCOPE)
  elseif(path MATCHES "^tools/")
    set(${out} tools PARENT_SCOPE)
  else()
    set(${out} "" PARENT_SCOPE)
  endif()
endfunction()

function(check_includes file content layer)
  string(REGEX MATCHALL "(^|\n)[ \t]*#[ \t]*include[ \t]*[<\"][^>\"\n]+[>\"]" includes "${content}")
  set(is_test FALSE)
  if(file MATCHES "${test_file}")
    set(is_test TRUE)
  endif()
  set(is_public FALSE)
  if(file MATCHES "^include/")
    set(is_public TRUE)
  endif()

  foreach(include IN LISTS includes)
    string(STRIP "${include}" include)
    string(REGEX MATCH "([<\"])([^>\"]+)[>\"]$" quoted "${include}")
    set(mark "${CMAKE_MATCH_1}")
    set(name "${CMAKE_MATCH_2}")

    if(name MATCHES "^spdk/" AND NOT layer STREQUAL "engine_spdk")
      report("${file}" "${content}" "${include}"
        "${quoted} is a header of SPDK, allowed in src/engine_spdk only; use the interfaces of include/spdkio/engine instead")
      continue()
    endif()
    if(is_public)
      foreach(foreign IN LISTS foreign_headers)
        if(name MATCHES "^${foreign}")
          report("${file}" "${content}" "${include}"
            "${quoted} would reach every user; keep it in src/ behind a forward-declared type of ours instead")
        endif()
      endforeach()
      if(mark STREQUAL "\"")
        report("${file}" "${content}" "${include}"
          "${quoted} with quotes in a public header; include public headers as <spdkio/...> and private ones not at all")
        continue()
      endif()
    endif()
    if(mark STREQUAL "\"" AND name MATCHES "^\\.\\.?/")
      report("${file}" "${content}" "${include}"
        "${quoted} is relative to the file; write private includes relative to src/ instead, as \"bdev/registry.hpp\"")
      continue()
    endif()
    if(mark STREQUAL "\"" AND EXISTS "${ROOT}/include/${name}")
      report("${file}" "${content}" "${include}" "${quoted} is a public header; include it as <${name}> instead")
      continue()
    endif()

    # The layer of what is included.
    if(mark STREQUAL "<" AND name MATCHES "^spdkio/")
      layer_of("include/${name}" target)
    elseif(mark STREQUAL "\"" AND EXISTS "${ROOT}/src/${name}")
      layer_of("src/${name}" target)
    else()
      continue()
    endif()
    # The umbrella header is for users: it would pull every layer into any file. A test is a user of everything to its
    # left and of the test kit, and may run on a whole application.
    if(layer STREQUAL "umbrella" OR layer STREQUAL target)
      continue()
    endif()
    if(is_test OR layer STREQUAL "tools")
      if(NOT target STREQUAL "tools")
        continue()
      endif()
    endif()
    if(NOT target IN_LIST SPDKIO_LAYER_${layer})
      list(JOIN SPDKIO_LAYER_${layer} ", " allowed)
      if(allowed STREQUAL "")
        set(allowed "none")
      endif()
      report("${file}" "${content}" "${include}"
        "${layer} may not include ${quoted} (layer ${target}); allowed beside itself: ${allowed} (cmake/Layers.cmake)")
    endif()
  endforeach()
endfunction()

# ban(<file> <content> <regex> <text>): the first group of the regex is what is reported.
function(ban file content regex text)
  if(content MATCHES "${regex}")
    report("${file}" "${content}" "${CMAKE_MATCH_0}" "${text}")
  endif()
endfunction()

file(GLOB_RECURSE files RELATIVE "${ROOT}"
  "${ROOT}/include/*.hpp" "${ROOT}/include/*.h" "${ROOT}/src/*.hpp" "${ROOT}/src/*.cpp"
  "${ROOT}/tools/*.hpp" "${ROOT}/tools/*.cpp")
list(SORT files)
set(long_files)

foreach(file IN LISTS files)
  file(READ "${ROOT}/${file}" content)
  layer_of("${file}" layer)

  if(NOT layer STREQUAL "umbrella" AND NOT layer IN_LIST SPDKIO_LAYERS)
    report("${file}" "" "" "the folder ${layer} is not in the layer table; add it to cmake/Layers.cmake")
    continue()
  endif()

  check_includes("${file}" "${content}" "${layer}")

  # Comments may speak of anything; code may not. Lines stay in place.
  string(REGEX REPLACE "//[^\n]*" "" code "${content}")

  if(file MATCHES "\\.h$")
    report("${file}" "" "" "our headers end in .hpp, so that a foreign .h stands out in an include list; rename it")
  endif()
  if(file MATCHES "\\.hpp$")
    if(NOT content MATCHES "#pragma once")
      report("${file}" "" "" "no #pragma once; add it as the first line of code")
    endif()
    if(NOT file MATCHES "${test_file}")
      ban("${file}" "${code}" "\nusing namespace [^\n]*" "using namespace in a header; name what is used instead")
    endif()
  endif()
  ban("${file}" "${content}" "[^A-Za-z](TODO|FIXME|XXX)[^A-Za-z]" "a note to come back; do it, or open an issue and say what is missing")

  if(file MATCHES "^src/" AND NOT file MATCHES "${test_file}" AND NOT file IN_LIST may_block)
    set(blocking "blocks the thread, which may be a reactor; use co_await sleep_for() or a Poller instead")
    ban("${file}" "${code}" "[^A-Za-z0-9_](usleep|nanosleep|sleep) *\\(" "${blocking}")
    ban("${file}" "${code}" "this_thread::sleep_(for|until)" "${blocking}")
  endif()

  string(REGEX MATCHALL "\n" breaks "${content}")
  list(LENGTH breaks lines)
  if(lines GREATER long_file_lines)
    list(APPEND long_files "${file}: ${lines} lines")
  endif()
endforeach()

foreach(layer IN LISTS SPDKIO_COMPONENTS)
  file(GLOB_RECURSE sources "${ROOT}/src/${layer}/*.cpp" "${ROOT}/src/${layer}/*.hpp")
  if(sources AND NOT EXISTS "${ROOT}/src/${layer}/README.md")
    report("src/${layer}/README.md" "" "" "missing; name the nouns of this folder, one line each")
  endif()
endforeach()

foreach(long IN LISTS long_files)
  message(NOTICE "note: ${long}; past ${long_file_lines} a file asks to be split")
endforeach()

list(LENGTH files count)
get_property(findings GLOBAL PROPERTY findings)
if(findings GREATER 0)
  message(FATAL_ERROR "tidy: ${findings} findings in ${count} files")
endif()
if(count EQUAL 0)
  message(FATAL_ERROR "tidy: no source file under ${ROOT}")
endif()
message(NOTICE "tidy: ${count} files, no findings")
