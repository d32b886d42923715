# Builds a small self-registering library into a prefix whose path has a blank, then a project that finds it through
# PkgConf.cmake, and runs what comes out. Needs also -DCXX= -DAR= -DREADELF= -DGENERATOR=, and may have -DLAUNCHER=.

include("${CMAKE_CURRENT_LIST_DIR}/check.cmake")
foreach(needed CXX AR READELF GENERATOR)
  if(NOT ${needed})
    message(FATAL_ERROR "-D${needed}= is missing")
  endif()
endforeach()

set(source "${CMAKE_CURRENT_LIST_DIR}/consumer")
set(prefix "${WORK}/local install")
set(ENV{PKG_CONFIG_LIBDIR} "${prefix}/lib/pkgconfig")
set(ENV{XDG_CACHE_HOME} "${WORK}/cache")

function(run)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE result OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${current_case}: ${ARGN}\nended with ${result}\n${out}")
  endif()
  set(out "${out}" PARENT_SCOPE)
endfunction()

function(archive name file)
  run("${CXX}" -std=c++20 -fPIC ${ARGN} -c "${source}/${file}.cpp" -o "${WORK}/${file}.o")
  file(REMOVE "${prefix}/lib/lib${name}.a")
  run("${AR}" rcs "${prefix}/lib/lib${name}.a" "${WORK}/${file}.o")
endfunction()

# ends(<status> <program> <argument>...)
function(ends status program)
  execute_process(COMMAND "${WORK}/build/${program}" ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE out ERROR_VARIABLE out)
  expect(result ${status})
endfunction()

case("building the library")
file(MAKE_DIRECTORY "${prefix}/lib/pkgconfig" "${prefix}/include")
file(COPY "${source}/registry.hpp" DESTINATION "${prefix}/include")
archive(toy_core registry)
archive(toy_plugin plugin)
string(REPLACE " " "\\ " escaped "${prefix}")
set(head "Description: toy\nVersion: 1.2\nCflags: -I${escaped}/include -I${escaped}/gone -DTOY_ANSWER=42\nLibs: -L${escaped}/lib")
file(WRITE "${prefix}/lib/pkgconfig/toy.pc"
  "Name: toy\n${head} -ltoy_plugin -ltoy_core '-Wl,-rpath,$ORIGIN/../other' -pthread -Wl,--as-needed -lm\n")
file(WRITE "${prefix}/lib/pkgconfig/toy_region.pc"
  "Name: toy_region\n${head} -ltoy_core -Wl,--whole-archive -l:libtoy_plugin.a -l:libtoy_core.a -Wl,--no-whole-archive -Wl,--as-needed -ltoy_core\n")

case("configuring and building the project")
run("${CMAKE_COMMAND}" -G "${GENERATOR}" -S "${source}" -B "${WORK}/build" "-DCMAKE_CXX_COMPILER=${CXX}"
  "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}" "-DMODULE=${MODULE}" "-DTOY_INCLUDE=${prefix}/include")
expect_match(out "-- toy::whole: 2 archives \\(1 of them whole\\), 1 libraries left to the linker")
run("${CMAKE_COMMAND}" --build "${WORK}/build" --parallel 2)

case("the forced region brings the plug-in in, the plain archive does not")
ends(0 whole plugin)
ends(3 plain plugin)
ends(3 whole nonsense)

case("pkg-config's own region, with plain mentions around it")
ends(0 region plugin)

case("one target over many paths is linked once, after everything that needs it")
ends(0 many plugin)

case("inside a shared library")
ends(0 through_engine plugin)

case("\$ORIGIN reaches the linker")
run("${READELF}" -d "${WORK}/build/whole")
expect_match(out "\\[\\$ORIGIN/\\.\\./other\\]")

case("the linker's state ends with our line")
run("${READELF}" -d "${WORK}/build/after")
expect_match(out "libstdc")

case("a new archive relinks")
archive(toy_plugin plugin "-DPLUGIN_NAME=\"second\"")
run("${CMAKE_COMMAND}" --build "${WORK}/build" --parallel 2)
ends(0 whole second)
ends(0 many second)

case("REQUIRED and a missing module")
file(REMOVE "${prefix}/lib/pkgconfig/toy_region.pc")
execute_process(COMMAND "${CMAKE_COMMAND}" "${WORK}/build" RESULT_VARIABLE result OUTPUT_VARIABLE out ERROR_VARIABLE out)
string(REGEX REPLACE "[ \n]+" " " out "${out}")
expect_match(out "toy::region: pkg-config does not find 'toy_region'")
expect(result 1)

finish(13)
