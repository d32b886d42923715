# Shows that each rule of tidy.cmake can fail: writes a small tree with one fault per file and looks for every finding.
#   cmake -D WORK_DIR=<scratch> -P self_test.cmake

cmake_minimum_required(VERSION 3.25)

set(tree "${WORK_DIR}/tree")
file(REMOVE_RECURSE "${tree}")
set(expected)

function(add_file path text)
  file(WRITE "${tree}/${path}" "${text}")
endfunction()

macro(add_fault path text finding)
  add_file("${path}" "${text}")
  list(APPEND expected "${finding}")
endmacro()

function(run_tidy out_result out_output)
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -D "ROOT=${tree}" -P "${CMAKE_CURRENT_LIST_DIR}/tidy.cmake"
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  set(${out_result} "${result}" PARENT_SCOPE)
  set(${out_output} "${output}" PARENT_SCOPE)
endfunction()

# A tree without a fault passes.
add_file(include/spdkio/base/error.hpp "#pragma once\n#include <system_error>\n")
add_file(include/spdkio/bdev/bdev.hpp "#pragma once\n#include <spdkio/base/error.hpp>\n")
add_file(include/spdkio/spdkio.hpp "#pragma once\n#include <spdkio/bdev/bdev.hpp>\n")
add_file(src/base/README.md "nouns\n")
add_file(src/bdev/README.md "nouns\n")
add_file(src/bdev/registry.hpp "#pragma once\n#include <spdkio/bdev/bdev.hpp>\n")
add_file(src/bdev/registry.cpp
  "#include \"bdev/registry.hpp\"\n#include <liburing.h>\n// sleep(1) is not called here\nvoid co() { runtime::sleep_for(1); }\n")
add_file(src/base/error.cpp "#include <spdkio/base/error.hpp>\n")
add_file(tools/spdkio/main.cpp "#include <spdkio/spdkio.hpp>\n#include \"bdev/registry.hpp\"\n")
run_tidy(result output)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "a clean tree was refused:\n${output}")
endif()

add_fault(src/base/upward.cpp "\n#include <spdkio/bdev/bdev.hpp>\n"
  "src/base/upward.cpp:2: base may not include <spdkio/bdev/bdev.hpp> (layer bdev); allowed beside itself: none")
add_fault(src/runtime/private.cpp "#include \"bdev/registry.hpp\"\n"
  "src/runtime/private.cpp:1: runtime may not include \"bdev/registry.hpp\" (layer bdev); allowed beside itself: base")
add_fault(src/rpc/sibling.hpp "#pragma once\n#include <spdkio/bdev/bdev.hpp>\n"
  "src/rpc/sibling.hpp:2: rpc may not include <spdkio/bdev/bdev.hpp> (layer bdev); allowed beside itself: base, spec, runtime, engine")
add_fault(include/spdkio/base/umbrella.hpp "#pragma once\n#include <spdkio/spdkio.hpp>\n"
  "include/spdkio/base/umbrella.hpp:2: base may not include <spdkio/spdkio.hpp> (layer umbrella)")
add_fault(src/bdev/stray_spdk.cpp "#include <spdk/bdev.h>\n"
  "src/bdev/stray_spdk.cpp:1: <spdk/bdev.h> is a header of SPDK, allowed in src/engine_spdk only")
add_fault(include/spdkio/base/foreign.hpp "#pragma once\n#include <liburing.h>\n"
  "include/spdkio/base/foreign.hpp:2: <liburing.h> would reach every user")
add_fault(include/spdkio/base/quoted.hpp "#pragma once\n#include \"base/detail.hpp\"\n"
  "include/spdkio/base/quoted.hpp:2: \"base/detail.hpp\" with quotes in a public header")
add_fault(src/bdev/relative.cpp "#include \"../base/detail.hpp\"\n"
  "src/bdev/relative.cpp:1: \"../base/detail.hpp\" is relative to the file")
add_fault(src/bdev/public_quoted.cpp "#include \"spdkio/bdev/bdev.hpp\"\n"
  "src/bdev/public_quoted.cpp:1: \"spdkio/bdev/bdev.hpp\" is a public header")
add_fault(src/bdev/blocking.cpp "void a() {\n  usleep(1)\;\n}\n"
  "src/bdev/blocking.cpp:2: blocks the thread")
add_fault(src/bdev/blocking_std.cpp "void a() { std::this_thread::sleep_for(x)\; }\n"
  "src/bdev/blocking_std.cpp:1: blocks the thread")
add_fault(src/bdev/namespace.hpp "#pragma once\nusing namespace std\;\n"
  "src/bdev/namespace.hpp:1: using namespace in a header")
add_fault(src/bdev/unguarded.hpp "int a()\;\n"
  "src/bdev/unguarded.hpp:1: no #pragma once")
add_fault(include/spdkio/base/plain.h "#pragma once\n"
  "include/spdkio/base/plain.h:1: our headers end in .hpp")
add_fault(src/bdev/later.cpp "// TO${empty}DO: finish\n"
  "src/bdev/later.cpp:1: a note to come back")
add_fault(src/unknown/thing.cpp "\n"
  "src/unknown/thing.cpp:1: the folder unknown is not in the layer table")
list(APPEND expected "src/rpc/README.md:1: missing")

run_tidy(result output)
if(result EQUAL 0)
  message(FATAL_ERROR "a tree full of faults was accepted")
endif()
set(missed)
foreach(finding IN LISTS expected)
  string(FIND "${output}" "${finding}" at)
  if(at LESS 0)
    string(APPEND missed "  ${finding}\n")
  endif()
endforeach()
if(missed)
  message(FATAL_ERROR "not found:\n${missed}in:\n${output}")
endif()
file(REMOVE_RECURSE "${tree}")
