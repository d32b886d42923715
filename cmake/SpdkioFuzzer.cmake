# spdkio_add_fuzzer(<name>)
#   tests/fuzz/<name>_fuzz.cpp as the program fuzz_<name>, with its seeds in tests/fuzz/corpus/<name>/.

include_guard(GLOBAL)

set(SPDKIO_FUZZ_SMOKE_SECONDS 5 CACHE STRING "Seconds each fuzzer runs under ctest")

if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  set(SPDKIO_LIBFUZZER TRUE)
else()
  set(SPDKIO_LIBFUZZER FALSE)
endif()

function(_spdkio_fuzz_program name)
  add_executable(fuzz_${name} "${CMAKE_CURRENT_SOURCE_DIR}/${name}_fuzz.cpp")
  _spdkio_compile_settings(fuzz_${name})
  target_link_libraries(fuzz_${name} PRIVATE spdkio::spdkio ${SPDKIO_ALL_DEPENDENCIES})
  if(SPDKIO_LIBFUZZER)
    target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(fuzz_${name} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/replay_main.cpp")
  endif()
endfunction()

# Sets out to the command line of a run of a few seconds that stores what it finds under the build folder only.
function(_spdkio_fuzz_command name out)
  set(seeds "${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name}")
  if(SPDKIO_LIBFUZZER)
    set(found "${CMAKE_CURRENT_BINARY_DIR}/found/${name}")
    file(REMOVE_RECURSE "${found}")
    file(MAKE_DIRECTORY "${found}")
    set(${out} fuzz_${name} -max_total_time=${SPDKIO_FUZZ_SMOKE_SECONDS} -timeout=10 -rss_limit_mb=2048
      -print_final_stats=1 "-artifact_prefix=${CMAKE_CURRENT_BINARY_DIR}/${name}-" "${found}" "${seeds}" PARENT_SCOPE)
  else()
    set(${out} fuzz_${name} "${seeds}" PARENT_SCOPE)
  endif()
endfunction()

function(spdkio_add_fuzzer name)
  _spdkio_fuzz_program(${name})
  _spdkio_fuzz_command(${name} command)
  add_test(NAME fuzz.${name} COMMAND ${command})
  set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 120)
endfunction()

# A fuzzer whose code under test has a planted fault: the run must find it. It shows that the others could.
function(spdkio_add_fuzz_canary name message)
  _spdkio_fuzz_program(${name})
  _spdkio_fuzz_command(${name} command)
  list(POP_FRONT command)
  if(SPDKIO_LIBFUZZER)
    # Without the seed: libFuzzer has to get there by coverage alone.
    list(POP_BACK command)
    list(TRANSFORM command REPLACE "-max_total_time=.*" "-max_total_time=60")
  endif()
  add_test(NAME fuzz.${name}
    COMMAND "${CMAKE_COMMAND}" -D "MESSAGE=${message}" -P "${CMAKE_CURRENT_SOURCE_DIR}/expect_failure.cmake"
      -- $<TARGET_FILE:fuzz_${name}> ${command})
  set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 120)
endfunction()
