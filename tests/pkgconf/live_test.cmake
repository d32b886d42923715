# Runs one of the programs linked with DPDK. Needs also -DPROGRAM= -DSTATUS=<expected> -DSAYS=<regex> -DREADELF=.

include("${CMAKE_CURRENT_LIST_DIR}/check.cmake")
get_filename_component(current_case "${PROGRAM}" NAME)

# Where DPDK puts its run-time files: root and others would get different places.
set(ENV{RUNTIME_DIRECTORY} "${WORK}")
set(ENV{XDG_RUNTIME_DIR} "${WORK}")
execute_process(COMMAND "${PROGRAM}" ring_mp_mc RESULT_VARIABLE result OUTPUT_VARIABLE out ERROR_VARIABLE out)
message(STATUS "${out}")
expect_match(out "DPDK runs")
expect(result ${STATUS})
expect_match(out "${SAYS}")

# DPDK's archives are in the program, the distribution's libraries are not.
execute_process(COMMAND "${READELF}" -d "${PROGRAM}" OUTPUT_VARIABLE needed COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "NEEDED[^\n]*" needed "${needed}")
string(FIND "${needed}" "librte_" at)
expect(at -1)
expect_match(needed "libnuma\\.so")

file(REMOVE_RECURSE "${WORK}")
finish(5)
