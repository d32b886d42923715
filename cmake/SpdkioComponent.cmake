# Targets by folder: a folder of src/, tools/, examples/ or bench/ needs no CMakeLists.txt of its own. Sources are found
# at build time, so a new file needs no edit here.

include_guard(GLOBAL)

function(_spdkio_split_sources dir out_sources out_tests)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${dir}/*.cpp")
  set(tests ${sources})
  # test_<what>.cpp is a helper shared by the tests of a folder.
  list(FILTER sources EXCLUDE REGEX "(_test|/test_[^/]*)\\.cpp$")
  list(FILTER tests INCLUDE REGEX "(_test|/test_[^/]*)\\.cpp$")
  if(COMMAND spdkio_drop_missing_adapters)
    spdkio_drop_missing_adapters(tests)
  endif()
  set(${out_sources} ${sources} PARENT_SCOPE)
  set(${out_tests} ${tests} PARENT_SCOPE)
endfunction()

# What every target of this project compiles with: public headers, private headers relative to src/, warnings.
function(_spdkio_compile_settings target)
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(${target} PRIVATE spdkio_warnings)
endfunction()

# One precompiled header for all targets of a kind (library, test), kept by the first of them. The targets of a kind
# compile with the same options.
function(_spdkio_precompile target kind)
  if(NOT SPDKIO_PCH)
    return()
  endif()
  get_property(owner GLOBAL PROPERTY SPDKIO_PCH_OWNER_${kind})
  if(owner)
    target_precompile_headers(${target} REUSE_FROM ${owner})
  else()
    target_precompile_headers(${target} PRIVATE "${PROJECT_SOURCE_DIR}/cmake/precompiled/${kind}.hpp")
    set_property(GLOBAL PROPERTY SPDKIO_PCH_OWNER_${kind} ${target})
  endif()
endfunction()

# Components that read foreign bytes: only their code guides the fuzzers. Instrumenting everything costs a third more of
# the build.
set(_spdkio_fuzzed rpc spec nvme nvmf blob app)

# spdkio_add_component(<name>)
#   The folder src/<name> as the object library spdkio_<name>, collected into the library spdkio.
function(spdkio_add_component name)
  _spdkio_split_sources(src/${name} sources tests)
  if(NOT sources)
    return()
  endif()
  add_library(spdkio_${name} OBJECT ${sources})
  _spdkio_compile_settings(spdkio_${name})
  target_compile_definitions(spdkio_${name} PRIVATE SPDKIO_VERSION="${PROJECT_VERSION}")
  target_link_libraries(spdkio_${name} PRIVATE ${SPDKIO_ALL_DEPENDENCIES})
  _spdkio_precompile(spdkio_${name} library)
  if(SPDKIO_BUILD_FUZZERS AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND name IN_LIST _spdkio_fuzzed)
    # What -fsanitize=fuzzer-no-link stands for, as flags that a precompiled header made without them still fits.
    target_compile_options(spdkio_${name} PRIVATE
      -fsanitize-coverage=inline-8bit-counters,indirect-calls,trace-cmp,pc-table)
  endif()
  target_sources(spdkio PRIVATE $<TARGET_OBJECTS:spdkio_${name}>)
endfunction()

# spdkio_add_test(<name> {SOURCE_DIR <dir> | SOURCES <file>...} [LABELS <label>...] [LIBRARIES <target>...])
#   All *_test.cpp of a folder, or these files, as one GoogleTest program spdkio_<name>_test, one ctest entry per case. Those named
#   *allocation_test.cpp count what the heap gives out, which a sanitizer's own allocator makes meaningless: they are not
#   part of its builds.
function(spdkio_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "SOURCE_DIR" "SOURCES;LABELS;LIBRARIES")
  if(arg_SOURCES)
    set(tests ${arg_SOURCES})
  else()
    _spdkio_split_sources(${arg_SOURCE_DIR} sources tests)
  endif()
  if(SPDKIO_SANITIZE)
    list(FILTER tests EXCLUDE REGEX "allocation_test\\.cpp$")
  endif()
  if(NOT tests)
    return()
  endif()
  set(target spdkio_${name}_test)
  add_executable(${target} ${tests})
  _spdkio_compile_settings(${target})
  target_compile_definitions(${target} PRIVATE SPDKIO_VERSION="${PROJECT_VERSION}")
  target_link_libraries(${target} PRIVATE
    ${arg_LIBRARIES} spdkio::spdkio ${SPDKIO_ALL_DEPENDENCIES} GTest::gtest GTest::gmock GTest::gtest_main)
  _spdkio_precompile(${target} test)
  include(GoogleTest)
  gtest_discover_tests(${target}
    TEST_PREFIX "${name}."
    DISCOVERY_MODE PRE_TEST
    DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT 120 LABELS "${arg_LABELS}")
endfunction()

# spdkio_add_tool(<name>)
#   The program <name> from tools/<name>/**; everything but main.cpp is an object library, so that tests can link it.
function(spdkio_add_tool name)
  _spdkio_split_sources(tools/${name} sources tests)
  set(main "${PROJECT_SOURCE_DIR}/tools/${name}/main.cpp")
  set(libraries spdkio::spdkio ${SPDKIO_ALL_DEPENDENCIES} CLI11::CLI11)
  set(objects ${sources})
  list(REMOVE_ITEM objects "${main}")
  if(objects)
    add_library(spdkio_tool_objects OBJECT ${objects})
    _spdkio_compile_settings(spdkio_tool_objects)
    target_include_directories(spdkio_tool_objects PUBLIC "${PROJECT_SOURCE_DIR}/tools")
    target_compile_definitions(spdkio_tool_objects PRIVATE SPDKIO_VERSION="${PROJECT_VERSION}")
    target_link_libraries(spdkio_tool_objects PUBLIC ${libraries})
    _spdkio_precompile(spdkio_tool_objects library)
    list(APPEND libraries spdkio_tool_objects)
  endif()
  if(main IN_LIST sources)
    add_executable(spdkio_tool "${main}")
    set_target_properties(spdkio_tool PROPERTIES
      OUTPUT_NAME ${name}
      RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
    _spdkio_compile_settings(spdkio_tool)
    target_include_directories(spdkio_tool PRIVATE "${PROJECT_SOURCE_DIR}/tools")
    target_compile_definitions(spdkio_tool PRIVATE SPDKIO_VERSION="${PROJECT_VERSION}")
    target_link_libraries(spdkio_tool PRIVATE ${libraries})
  endif()
endfunction()

# spdkio_add_examples(<dir>)
#   Each <dir>/*.cpp as the program example_<name>, and as a test that runs it without arguments. Examples see only
#   what a user of the installed library sees.
function(spdkio_add_examples dir)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${dir}/*.cpp")
  foreach(source IN LISTS sources)
    cmake_path(GET source STEM name)
    add_executable(example_${name} "${source}")
    target_link_libraries(example_${name} PRIVATE spdkio::spdkio spdkio_warnings)
    if(SPDKIO_BUILD_TESTS)
      add_test(NAME example.${name} COMMAND example_${name})
      set_tests_properties(example.${name} PROPERTIES TIMEOUT 120 LABELS example)
    endif()
  endforeach()
endfunction()

# spdkio_add_benchmarks(<dir>)
#   Each <dir>/{micro,device}/*.cpp as the program bench_<name>.
function(spdkio_add_benchmarks dir)
  file(GLOB sources CONFIGURE_DEPENDS
    "${PROJECT_SOURCE_DIR}/${dir}/micro/*.cpp" "${PROJECT_SOURCE_DIR}/${dir}/device/*.cpp")
  foreach(source IN LISTS sources)
    cmake_path(GET source STEM name)
    add_executable(bench_${name} "${source}")
    _spdkio_compile_settings(bench_${name})
    target_link_libraries(bench_${name} PRIVATE
      spdkio::spdkio ${SPDKIO_ALL_DEPENDENCIES} benchmark::benchmark)
  endforeach()
endfunction()
