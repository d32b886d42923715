# Shared by the `cmake -P` tests here. A mismatch is reported with its case and the script goes on; it ends non-zero.
# Needs -DMODULE=<PkgConf.cmake> and -DWORK=<a directory that the test may empty>.

cmake_minimum_required(VERSION 3.25)
foreach(needed MODULE WORK)
  if(NOT DEFINED ${needed})
    message(FATAL_ERROR "-D${needed}= is missing")
  endif()
endforeach()
include("${MODULE}")

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
file(REAL_PATH "${WORK}" WORK)
set_property(GLOBAL PROPERTY checks 0)
foreach(variable PKG_CONFIG PKG_CONFIG_PATH PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_SYSTEM_LIBRARY_PATH LIBRARY_PATH)
  unset(ENV{${variable}})
endforeach()

macro(case name)
  set(current_case "${name}")
endmacro()

# expect(<variable> <element>...): the list in <variable> is exactly these.
function(expect variable)
  get_property(checks GLOBAL PROPERTY checks)
  math(EXPR checks "${checks} + 1")
  set_property(GLOBAL PROPERTY checks ${checks})
  if(NOT "${${variable}}" STREQUAL "${ARGN}")
    message(SEND_ERROR "${current_case}: ${variable}\n  is:       ${${variable}}\n  expected: ${ARGN}")
  endif()
endfunction()

function(expect_match variable regex)
  get_property(checks GLOBAL PROPERTY checks)
  math(EXPR checks "${checks} + 1")
  set_property(GLOBAL PROPERTY checks ${checks})
  if(NOT "${${variable}}" MATCHES "${regex}")
    message(SEND_ERROR "${current_case}: ${variable}\n  is: ${${variable}}\n  which does not match: ${regex}")
  endif()
endfunction()

# touch(<file>...), relative to WORK
function(touch)
  foreach(file IN LISTS ARGN)
    file(WRITE "${WORK}/${file}" "")
  endforeach()
endfunction()

# recorded(<variable> <file>): a recording with @ROOT@ replaced by WORK, newlines by blanks.
function(recorded variable name)
  file(READ "${CMAKE_CURRENT_LIST_DIR}/recorded/${name}" text)
  string(REPLACE "@ROOT@" "${WORK}" text "${text}")
  string(REPLACE "\n" " " text "${text}")
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()

# A script that reached its end without a check would pass for nothing.
function(finish at_least)
  get_property(checks GLOBAL PROPERTY checks)
  if(checks LESS at_least)
    message(SEND_ERROR "only ${checks} checks ran, expected ${at_least} or more")
  endif()
  message(STATUS "${checks} checks")
endfunction()
