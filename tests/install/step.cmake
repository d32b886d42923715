# One step of the install tests: cmake -D ... -P step.cmake -- <step>; the variables are set in CMakeLists.txt.

cmake_minimum_required(VERSION 3.25)

math(EXPR last "${CMAKE_ARGC} - 1")
set(step "${CMAKE_ARGV${last}}")
set(prefix "${WORK_DIR}/prefix")
set(deb_dir "${WORK_DIR}/deb")
set(deb_root "${WORK_DIR}/deb_root")

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "failed (${result}): ${command}\n${output}")
  endif()
  set(run_output "${output}" PARENT_SCOPE)
endfunction()

function(need)
  foreach(path IN LISTS ARGN)
    if(NOT EXISTS "${path}")
      message(FATAL_ERROR "not installed: ${path}")
    endif()
  endforeach()
endfunction()

# The foreign project must not see the source tree: paths of it in an installed file would hide a missing file.
function(refuse_build_paths)
  foreach(file IN LISTS ARGN)
    file(READ "${file}" text)
    foreach(path IN ITEMS "${SOURCE_DIR}" "${BUILD_DIR}")
      string(FIND "${text}" "${path}" at)
      if(at GREATER_EQUAL 0)
        message(FATAL_ERROR "${file} names ${path}")
      endif()
    endforeach()
  endforeach()
endfunction()

function(need_installed root)
  set(cmake_dir "${root}/${LIBDIR}/cmake/spdkio")
  need(
    "${root}/include/spdkio/spdkio.hpp" "${root}/bin/spdkio"
    "${cmake_dir}/spdkioConfig.cmake" "${cmake_dir}/PkgConf.cmake" "${root}/${LIBDIR}/pkgconfig/spdkio.pc"
    "${root}/share/doc/spdkio/README.md" "${root}/share/doc/spdkio/copyright"
    "${root}/share/bash-completion/completions/spdkio" "${root}/share/zsh/site-functions/_spdkio"
    "${root}/share/fish/vendor_completions.d/spdkio.fish")
  file(GLOB package_files "${cmake_dir}/*.cmake" "${root}/${LIBDIR}/pkgconfig/*.pc")
  refuse_build_paths(${package_files})
endfunction()

function(build_consumer found_at)
  set(build "${WORK_DIR}/consumer_${step}")
  file(REMOVE_RECURSE "${build}")
  set(project "${CONSUMER_DIR}")
  if(ARGC GREATER 1)
    set(project "${ARGV1}")
  endif()
  run("${CMAKE_COMMAND}" -G Ninja -S "${project}" -B "${build}"
    "-DCMAKE_CXX_COMPILER=${COMPILER}" -DCMAKE_BUILD_TYPE=Release "-DCMAKE_PREFIX_PATH=${found_at};${SPDK_PREFIX_PATH}"
    -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF)
  run("${CMAKE_COMMAND}" --build "${build}")
  file(STRINGS "${build}/CMakeCache.txt" found REGEX "^spdkio_DIR:PATH=")
  string(FIND "${found}" "${found_at}" at)
  if(at LESS 0)
    message(FATAL_ERROR "another installation was found: ${found}")
  endif()
  run("${build}/consumer")
  if(NOT run_output MATCHES "consumer: ok")
    message(FATAL_ERROR "the consumer did not finish:\n${run_output}")
  endif()
  set(run_output "${run_output}" PARENT_SCOPE)
endfunction()

if(step STREQUAL "prefix")
  file(REMOVE_RECURSE "${prefix}")
  run("${CMAKE_COMMAND}" --install "${BUILD_DIR}" --prefix "${prefix}")
  need_installed("${prefix}")
  run("${prefix}/bin/spdkio" --version)
  if(NOT run_output MATCHES "${VERSION}")
    message(FATAL_ERROR "spdkio --version does not say ${VERSION}: ${run_output}")
  endif()

elseif(step STREQUAL "find_package")
  build_consumer("${prefix}")

elseif(step STREQUAL "linked_engine")
  # A file of the module's name lies where modules are looked for first. It is none, so whoever loads it fails.
  file(WRITE "${WORK_DIR}/modules/libspdkio-engine-spdk.so" "no module")
  set(ENV{SPDKIO_ENGINE_PATH} "${WORK_DIR}/modules")
  build_consumer("${prefix}" "${CONSUMER_DIR}_spdk")
  if(NOT run_output MATCHES "spdk [0-9.]+ \\(spdkio ${VERSION}\\)")
    message(FATAL_ERROR "the engine gives another version:\n${run_output}")
  endif()

elseif(step STREQUAL "no_linked_engine")
  # Without SPDK, the component is refused with a reason, and everything else is as usable as before.
  set(build "${WORK_DIR}/consumer_${step}")
  file(REMOVE_RECURSE "${build}")
  set(ENV{PKG_CONFIG_PATH} "")
  set(ENV{PKG_CONFIG_LIBDIR} "${WORK_DIR}/nowhere")
  execute_process(COMMAND "${CMAKE_COMMAND}" -G Ninja -S "${CONSUMER_DIR}_spdk" -B "${build}"
    "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCMAKE_PREFIX_PATH=${prefix}" -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  if(result EQUAL 0 OR NOT output MATCHES "spdkio's engine_spdk: (this installation was built without it|.*pkg-config)")
    message(FATAL_ERROR "configuring without SPDK gave ${result}:\n${output}")
  endif()

elseif(step STREQUAL "pkg_config")
  set(ENV{PKG_CONFIG_PATH} "${prefix}/${LIBDIR}/pkgconfig")
  run(pkg-config --modversion spdkio)
  if(NOT run_output MATCHES "^${VERSION}\n")
    message(FATAL_ERROR "pkg-config gives version ${run_output}")
  endif()
  run(pkg-config --cflags --libs spdkio)
  separate_arguments(flags UNIX_COMMAND "${run_output}")
  run("${COMPILER}" -std=c++23 "${CONSUMER_DIR}/main.cpp" ${flags} -o "${WORK_DIR}/consumer_pkg_config")
  set(ENV{LD_LIBRARY_PATH} "${prefix}/${LIBDIR}")  # for a shared build
  run("${WORK_DIR}/consumer_pkg_config")
  if(NOT run_output MATCHES "consumer: ok")
    message(FATAL_ERROR "the consumer did not finish:\n${run_output}")
  endif()

elseif(step STREQUAL "subproject")
  # As part of another project only the library is there: no tests, tools, warnings as errors or install rules.
  set(outer "${WORK_DIR}/subproject")
  file(REMOVE_RECURSE "${outer}")
  file(WRITE "${outer}/CMakeLists.txt"
"cmake_minimum_required(VERSION 3.25)
project(outer LANGUAGES CXX)
add_subdirectory(\"${SOURCE_DIR}\" spdkio)
foreach(target spdkio_tool spdkio_header_check spdkio_base_test)
  if(TARGET \${target})
    message(FATAL_ERROR \"\${target} is part of a foreign project\")
  endif()
endforeach()
add_executable(outer main.cpp)
target_link_libraries(outer PRIVATE spdkio::spdkio)
")
  file(WRITE "${outer}/main.cpp" "#include <spdkio/spdkio.hpp>\nint main() {}\n")
  run("${CMAKE_COMMAND}" -G Ninja -S "${outer}" -B "${outer}/build" "-DCMAKE_CXX_COMPILER=${COMPILER}")

elseif(step STREQUAL "deb_contents")
  file(REMOVE_RECURSE "${deb_dir}" "${deb_root}")
  # CPack stages in its output folder, so each run has one of its own.
  run("${CMAKE_COMMAND}" -E chdir "${BUILD_DIR}" cpack -G DEB -B "${deb_dir}")
  file(GLOB packages "${deb_dir}/*.deb")
  if(NOT packages MATCHES "libspdkio-dev_${VERSION}" OR NOT packages MATCHES "/spdkio_${VERSION}")
    message(FATAL_ERROR "packages: ${packages}")
  endif()
  foreach(package IN LISTS packages)
    run(dpkg-deb -x "${package}" "${deb_root}")
  endforeach()
  need_installed("${deb_root}/usr")

elseif(step STREQUAL "deb_find_package")
  build_consumer("${deb_root}/usr")

elseif(step STREQUAL "deb_depends")
  # Every dependency exists in the distribution, and together they can be installed.
  file(GLOB packages "${deb_dir}/*.deb")
  run(apt-get install --simulate --no-install-recommends ${packages})
  foreach(name IN ITEMS spdkio libspdkio-dev)
    if(NOT run_output MATCHES "Inst ${name} ")
      message(FATAL_ERROR "${name} would not be installed:\n${run_output}")
    endif()
  endforeach()
  foreach(package IN LISTS packages)
    run(dpkg-deb --field "${package}" Depends)
    if(run_output STREQUAL "")
      message(FATAL_ERROR "${package} depends on nothing")
    endif()
  endforeach()

else()
  message(FATAL_ERROR "no such step: ${step}")
endif()
