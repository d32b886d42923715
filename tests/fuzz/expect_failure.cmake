# Runs the command after "--" and succeeds only if it fails with MESSAGE in its output.

cmake_minimum_required(VERSION 3.25)

set(command)
set(collecting FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
  if(collecting)
    list(APPEND command "${CMAKE_ARGV${i}}")
  elseif(CMAKE_ARGV${i} STREQUAL "--")
    set(collecting TRUE)
  endif()
endforeach()

execute_process(COMMAND ${command} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(result EQUAL 0)
  message(FATAL_ERROR "the planted fault was not found:\n${output}")
endif()
string(FIND "${output}" "${MESSAGE}" at)
if(at LESS 0)
  message(FATAL_ERROR "it failed (${result}), but not at the planted fault:\n${output}")
endif()
