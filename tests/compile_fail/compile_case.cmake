# Compiles one case twice; see CMakeLists.txt beside this file.

cmake_minimum_required(VERSION 3.25)

file(STRINGS "${CASE}" first_lines LIMIT_COUNT 5 REGEX "^// error: ")
if(NOT first_lines MATCHES "^// error: (.+)$")
  message(FATAL_ERROR "${CASE}:1: no line '// error: <regular expression>' among the first lines")
endif()
set(expected "${CMAKE_MATCH_1}")

function(compile out_result out_output)
  execute_process(
    COMMAND "${COMPILER}" ${STANDARD} -Wall -Wextra -Werror -fsyntax-only "-I${INCLUDE_DIR}" ${ARGN} "${CASE}"
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  set(${out_result} "${result}" PARENT_SCOPE)
  set(${out_output} "${output}" PARENT_SCOPE)
endfunction()

compile(result output)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${CASE}: the good branch does not compile:\n${output}")
endif()

compile(result output -DSPDKIO_BAD)
if(result EQUAL 0)
  message(FATAL_ERROR "${CASE}: the bad branch compiles")
endif()
if(NOT output MATCHES "${expected}")
  message(FATAL_ERROR "${CASE}: the bad branch fails, but not with '${expected}':\n${output}")
endif()
