# spdkio_pkgconf_query through a fake pkg-config that serves recordings, then through the machine's own.

include("${CMAKE_CURRENT_LIST_DIR}/check.cmake")

set(ENV{FAKE_DIR} "${WORK}")
set(PKG_CONFIG_EXECUTABLE "${CMAKE_CURRENT_LIST_DIR}/fake_pkg_config" CACHE FILEPATH "" FORCE)
set(marker -lspdkio_pkgconf_marker)

macro(answer status stdout stderr)
  file(WRITE "${WORK}/status" "${status}\n")
  file(WRITE "${WORK}/stdout" "${stdout}")
  file(WRITE "${WORK}/stderr" "${stderr}")
  file(WRITE "${WORK}/calls" "")
endmacro()

macro(read_calls)
  file(STRINGS "${WORK}/calls" calls)
endmacro()

touch(opt/spdk/lib/libspdk_nvme.a opt/spdk/lib/libspdk_log.a opt/spdk/dpdk/lib/librte_mempool_ring.a)

case("one run; its arguments; the recording parsed")
recorded(cflags dpdk_cflags.txt)
recorded(libs spdk_static.txt)
answer(0 "${cflags} -pthread ${marker} ${libs}\n" "")
spdkio_pkgconf_query(q MODULES spdk_nvme "libdpdk>=22.11" "spdk_syslibs = 1.0" STATIC QUIET
  FORCE_WHOLE_ARCHIVE spdk_nvme rte_mempool_ring WITHOUT uuid)
expect(q_FOUND TRUE)
expect(q_ERROR)
expect(q_ERROR_KIND)
expect(q_WHOLE_LIBRARIES "${WORK}/opt/spdk/lib/libspdk_nvme.a" "${WORK}/opt/spdk/dpdk/lib/librte_mempool_ring.a")
expect_match(q_LINK_LINE "^-L${WORK}/opt/spdk/lib;-Wl,--whole-archive;${WORK}/opt/spdk/lib/libspdk_nvme.a;-Wl,--no-whole-archive;-lspdk_keyring;.*;-lnuma;-lrt;")
expect(q_COMPILE_OPTIONS "SHELL:-include rte_config.h" -march=corei7 -pthread)
read_calls()
list(LENGTH calls count)
expect(count 1)
expect_match(calls "^--static --print-errors --cflags --libs CMakeFiles/spdkio_pkgconf/q.pc\\|\\|spdk_nvme  , libdpdk >= 22.11, spdk_syslibs = 1.0$")

case("without STATIC there is no --static")
answer(0 "${marker} -lm\n" "")
spdkio_pkgconf_query(q MODULES a QUIET)
expect(q_LINK_LINE -lm)
expect(q_COMPILE_OPTIONS)
read_calls()
expect_match(calls "^--print-errors --cflags --libs ")

case("the original pkg-config prints -L ahead of every library, the marker included")
answer(0 "-DA -pthread -I/i -L/l1 -L/l2 ${marker} -pthread -lm\n" "")
spdkio_pkgconf_query(q MODULES a QUIET)
expect(q_LINK_LINE -L/l1 -L/l2 -pthread -lm)
expect(q_COMPILE_OPTIONS -pthread)
expect(q_DEFINITIONS A)
expect(q_INCLUDE_DIRS /i)

case("search paths: PKG_CONFIG_PATH of the call, of the environment, CMAKE_PREFIX_PATH; the environment is put back")
file(MAKE_DIRECTORY "${WORK}/prefix/lib/pkgconfig" "${WORK}/prefix/share/pkgconfig")
set(CMAKE_PREFIX_PATH "${WORK}/prefix" /nowhere)
set(ENV{PKG_CONFIG_PATH} "/e1:/e2")
answer(0 "${marker}\n" "")
spdkio_pkgconf_query(q MODULES a QUIET PKG_CONFIG_PATH /p1 /p2)
read_calls()
expect_match(calls "\\|/p1:/p2:/e1:/e2:${WORK}/prefix/lib/pkgconfig:${WORK}/prefix/share/pkgconfig\\|")
set(now "$ENV{PKG_CONFIG_PATH}")
expect(now "/e1:/e2")
unset(ENV{PKG_CONFIG_PATH})
spdkio_pkgconf_query(q MODULES a QUIET PKG_CONFIG_PATH /p1)
if(DEFINED ENV{PKG_CONFIG_PATH})
  message(SEND_ERROR "${current_case}: PKG_CONFIG_PATH stayed set")
endif()
unset(CMAKE_PREFIX_PATH)

case("missing modules, in pkgconf's words and in those of the original")
answer(1 "" "Package nosuch was not found in the pkg-config search path.
Perhaps you should add the directory containing `nosuch.pc'
to the PKG_CONFIG_PATH environment variable
Package 'nosuch', required by 'q', not found
Package 'other', required by 'q', not found
")
spdkio_pkgconf_query(q MODULES nosuch other good QUIET)
expect(q_FOUND FALSE)
expect(q_ERROR_KIND NOT_FOUND)
expect_match(q_ERROR "^q: pkg-config does not find 'nosuch', 'other'; .*pkg-config said:\n  Package nosuch.*Modules asked for: nosuch, other, good$")
answer(1 "" "No package 'nosuch' found\n")
spdkio_pkgconf_query(q MODULES nosuch QUIET)
expect(q_ERROR_KIND NOT_FOUND)
expect_match(q_ERROR "does not find 'nosuch';")

case("versions, the same way")
answer(1 "" "Package dependency requirement 'libdpdk >= 99' could not be satisfied.
Package 'libdpdk' has version '22.11.11', required version is '>= 99'
")
spdkio_pkgconf_query(q MODULES libdpdk>=99 QUIET)
expect(q_FOUND FALSE)
expect(q_ERROR_KIND VERSION)
expect_match(q_ERROR "'libdpdk >= 99' is not satisfied: the installed version is 22.11.11")
answer(1 "" "Package 'q' requires 'libdpdk >= 99' but version of DPDK is 22.11.11\n")
spdkio_pkgconf_query(q MODULES libdpdk>=99 QUIET)
expect(q_ERROR_KIND VERSION)
expect_match(q_ERROR "'libdpdk >= 99' is not satisfied: the installed version is 22.11.11")

case("any other failure shows what pkg-config said")
answer(3 "" "the disk is on fire\n")
spdkio_pkgconf_query(q MODULES a QUIET)
expect(q_ERROR_KIND FAILED)
expect_match(q_ERROR "status 3.*the disk is on fire")

case("output without the marker")
answer(0 "-lm\n" "")
spdkio_pkgconf_query(q MODULES a QUIET)
expect(q_FOUND FALSE)
expect(q_ERROR_KIND FAILED)
expect_match(q_ERROR "marker.*-lm")

case("a forced library that is not in the output")
answer(0 "${marker} -lm\n" "")
spdkio_pkgconf_query(q MODULES a FORCE_WHOLE_ARCHIVE spdk_typo QUIET)
expect(q_FOUND FALSE)
expect(q_ERROR_KIND FORCE_NOT_LISTED)
expect_match(q_ERROR "^q: FORCE_WHOLE_ARCHIVE names 'spdk_typo'.*Modules asked for: a$")

case("empty lists are no lists")
answer(0 "${marker} -lm\n" "")
spdkio_pkgconf_query(q MODULES a QUIET FORCE_WHOLE_ARCHIVE WITHOUT PKG_CONFIG_PATH)
expect(q_FOUND TRUE)

case("no pkg-config, and one that cannot be run")
set(PKG_CONFIG_EXECUTABLE "${WORK}/nowhere/pkg-config" CACHE FILEPATH "" FORCE)
spdkio_pkgconf_query(q MODULES a QUIET)
expect(q_FOUND FALSE)
expect(q_ERROR_KIND NO_PKG_CONFIG)
expect_match(q_ERROR "cannot run '${WORK}/nowhere/pkg-config'")
set(path "$ENV{PATH}")
set(ENV{PATH} "${WORK}/nowhere")
foreach(variable CMAKE_SYSTEM_PREFIX_PATH CMAKE_SYSTEM_PROGRAM_PATH)
  set(${variable} "")
endforeach()
unset(PKG_CONFIG_EXECUTABLE CACHE)
set(CMAKE_FIND_USE_CMAKE_SYSTEM_PATH FALSE)
spdkio_pkgconf_query(q MODULES a QUIET)
expect(q_ERROR_KIND NO_PKG_CONFIG)
expect_match(q_ERROR "no pkg-config on this machine")
set(ENV{PATH} "${path}")

case("PKG_CONFIG in the environment names the program")
unset(PKG_CONFIG_EXECUTABLE CACHE)
set(ENV{PKG_CONFIG} "${CMAKE_CURRENT_LIST_DIR}/fake_pkg_config")
answer(0 "${marker} -lm\n" "")
spdkio_pkgconf_query(q MODULES a QUIET)
expect(q_FOUND TRUE)
read_calls()
list(LENGTH calls count)
expect(count 1)
unset(ENV{PKG_CONFIG})
unset(PKG_CONFIG_EXECUTABLE CACHE)

# --- what ends the configuration --------------------------------------------------------------------------------------

# stops(<regex> <code>): a script with <code> fails with a message like that.
function(stops regex code)
  file(WRITE "${WORK}/stops.cmake"
    "cmake_minimum_required(VERSION 3.25)\ninclude(\"${MODULE}\")\nset(PKG_CONFIG_EXECUTABLE \"${CMAKE_CURRENT_LIST_DIR}/fake_pkg_config\")\n${code}\nmessage(\"went on\")\n")
  execute_process(COMMAND "${CMAKE_COMMAND}" -P "${WORK}/stops.cmake" WORKING_DIRECTORY "${WORK}"
    RESULT_VARIABLE result OUTPUT_VARIABLE out ERROR_VARIABLE out)
  string(REGEX REPLACE "[ \n]+" " " out "${out}")
  expect_match(out "${regex}")
  string(FIND "${out}" "went on" went_on)
  expect(went_on -1)
endfunction()

case("REQUIRED ends the configuration and names the module")
answer(1 "" "Package 'nosuch', required by 'q', not found\n")
stops("q: pkg-config does not find 'nosuch'" "spdkio_pkgconf_query(q MODULES nosuch REQUIRED)")
stops("q: pkg-config does not find 'nosuch'" "spdkio_pkgconf_query(q MODULES nosuch REQUIRED QUIET)")

case("calls that make no sense")
stops("MODULES is missing" "spdkio_pkgconf_query(q STATIC)")
stops("unknown arguments: NONSENSE" "spdkio_pkgconf_query(q NONSENSE MODULES a)")
stops("no value given for: SYSTEM_ROOTS" "spdkio_pkgconf_query(q MODULES a SYSTEM_ROOTS)")
stops("no value given for: MODULES" "spdkio_pkgconf_query(q MODULES STATIC)")
stops("'a>>1' is not a module name" "spdkio_pkgconf_query(q MODULES a>>1)")
stops("'x' stands in both" "spdkio_pkgconf_query(q MODULES a FORCE_WHOLE_ARCHIVE x WITHOUT x)")
stops("bare library names.*not '-lspdk_nvme'" "spdkio_pkgconf_query(q MODULES a FORCE_WHOLE_ARCHIVE -lspdk_nvme)")
stops("bare library names.*not 'libx.a'" "spdkio_pkgconf_query(q MODULES a FORCE_WHOLE_ARCHIVE libx.a)")
stops("no value given for: SEARCH_DIRS" "spdkio_pkgconf_parse(q LIBS -lm SEARCH_DIRS)")

case("QUIET says nothing; without it one line says what happened")
# says(<regex> <code>)
function(says regex code)
  file(WRITE "${WORK}/says.cmake"
    "cmake_minimum_required(VERSION 3.25)\ninclude(\"${MODULE}\")\nset(PKG_CONFIG_EXECUTABLE \"${CMAKE_CURRENT_LIST_DIR}/fake_pkg_config\")\n${code}\n")
  execute_process(COMMAND "${CMAKE_COMMAND}" -P "${WORK}/says.cmake" WORKING_DIRECTORY "${WORK}"
    RESULT_VARIABLE result OUTPUT_VARIABLE out ERROR_VARIABLE out)
  expect(result 0)
  expect_match(out "${regex}")
endfunction()
says("^$" "spdkio_pkgconf_query(q MODULES nosuch QUIET)")
says("^-- q: pkg-config does not find 'nosuch'" "spdkio_pkgconf_query(q MODULES nosuch)")
answer(0 "${marker} -lm\n" "")
says("^$" "spdkio_pkgconf_query(q MODULES a QUIET)")
says("^-- q: 0 archives \\(0 of them whole\\), 1 libraries left to the linker\n$" "spdkio_pkgconf_query(q MODULES a)")

# --- the machine's own pkg-config, on .pc files written here -----------------------------------------------------------

unset(CMAKE_FIND_USE_CMAKE_SYSTEM_PATH)
find_program(PKG_CONFIG_EXECUTABLE NAMES pkg-config pkgconf REQUIRED)
set(ENV{PKG_CONFIG_LIBDIR} "${WORK}/pc")
file(WRITE "${WORK}/pc/front.pc" "Name: front\nDescription: d\nVersion: 2.5\nRequires: back >= 1\nRequires.private: hidden\n\
Libs: -pthread -L${WORK}/opt/spdk/lib -lspdk_nvme\nLibs.private: -lm\nCflags: -pthread -I${WORK}/inc -DFRONT\n")
file(WRITE "${WORK}/pc/back.pc" "Name: back\nDescription: d\nVersion: 1.5\n\
Libs: -L${WORK}/opt/spdk/lib -Wl,--whole-archive -lspdk_log -Wl,--no-whole-archive -lspdk_nvme\nCflags: -include back.h\n")
file(WRITE "${WORK}/pc/hidden.pc" "Name: hidden\nDescription: d\nVersion: 1\nLibs: -lz\n")
file(WRITE "${WORK}/pc/split.pc" "Name: split\nDescription: d\nVersion: 1\n\
Libs: -L${WORK}/opt/spdk/lib -Xlinker --whole-archive -lspdk_log -Xlinker --no-whole-archive -lspdk_nvme\n")
file(WRITE "${WORK}/pc/quoted.pc" "Name: quoted\nDescription: d\nVersion: 1\n\
Libs: \"-L${WORK}/with space\" -Wl,-rpath,'\$ORIGIN'\nCflags: -DTEXT='\"a b\"'\n")

case("real: compile and link flags are told apart, private ones only with STATIC")
spdkio_pkgconf_query(q MODULES "front >= 2" QUIET)
expect(q_COMPILE_OPTIONS -pthread "SHELL:-include back.h")
expect(q_DEFINITIONS FRONT)
expect(q_INCLUDE_DIRS "${WORK}/inc")
expect_match(q_LINK_LINE "-pthread;.*-Wl,--whole-archive;-lspdk_log;-Wl,--no-whole-archive;-lspdk_nvme$")
spdkio_pkgconf_query(q MODULES front STATIC QUIET)
set(log "${WORK}/opt/spdk/lib/libspdk_log.a")
expect_match(q_LINK_LINE "-Wl,--whole-archive;${log};-Wl,--no-whole-archive;${WORK}/opt/spdk/lib/libspdk_nvme.a")
expect_match(q_LINK_LINE "-lm.*-lz")
expect(q_WHOLE_LIBRARIES "${log}")

case("real: -Xlinker regions, which some pkg-config versions take apart")
spdkio_pkgconf_query(q MODULES split STATIC QUIET FORCE_WHOLE_ARCHIVE spdk_log)
expect(q_WHOLE_LIBRARIES "${log}")
list(JOIN q_LINK_LINE " " line)
string(REPLACE "-Xlinker " "-Wl," line "${line}")
expect(line "-L${WORK}/opt/spdk/lib -Wl,--whole-archive ${log} -Wl,--no-whole-archive ${WORK}/opt/spdk/lib/libspdk_nvme.a")

case("real: quoting")
spdkio_pkgconf_query(q MODULES quoted QUIET)
expect(q_LINK_LINE "-L${WORK}/with space" "-Wl,-rpath,\$ORIGIN")
expect(q_DEFINITIONS "TEXT=\"a b\"")

case("real: errors")
spdkio_pkgconf_query(q MODULES front nosuch QUIET)
expect(q_ERROR_KIND NOT_FOUND)
expect_match(q_ERROR "does not find 'nosuch'")
spdkio_pkgconf_query(q MODULES "front>=3" QUIET)
expect(q_ERROR_KIND VERSION)
expect_match(q_ERROR "'front >= 3' is not satisfied: the installed version is 2.5")

finish(80)
