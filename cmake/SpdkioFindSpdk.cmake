# An installed SPDK as the target spdkio::sys: headers, and the link line with whole archives where parts register
# themselves. For the build of the spdk engine, and for programs that link the installed engine in.
#
#   PKG_CONFIG_PATH, CMAKE_PREFIX_PATH where SPDK was installed to, when pkg-config does not know
include_guard(GLOBAL)
include("${CMAKE_CURRENT_LIST_DIR}/PkgConf.cmake")

# What SPDK this is stands in a header; the versions in its .pc files are those of single libraries.
function(_spdkio_spdk_version directories out)
  set(${out} "" PARENT_SCOPE)
  find_file(header spdk/version.h HINTS ${directories} NO_CACHE)
  if(NOT header)
    return()
  endif()
  file(STRINGS "${header}" lines REGEX "^#define SPDK_VERSION_(MAJOR|MINOR)[ \t]+[0-9]+")
  if("${lines}" MATCHES "MAJOR[ \t]+([0-9]+).*MINOR[ \t]+([0-9]+)")
    set(${out} "${CMAKE_MATCH_1}.${CMAKE_MATCH_2}" PARENT_SCOPE)
  endif()
endfunction()

# spdkio_find_spdk([GLOBAL])
#   Makes spdkio::sys. Sets spdk_FOUND and spdk_VERSION, or spdk_ERROR and spdk_ERROR_KIND of spdkio_pkgconf().
function(spdkio_find_spdk)
  set(modules spdk_event_bdev spdk_event_nvmf spdk_event_accel spdk_event_sock spdk_event_iobuf spdk_event_keyring
    spdk_event_vmd spdk_env_dpdk spdk_env_dpdk_rpc spdk_syslibs
    numa)  # of DPDK's archives, which SPDK's .pc files do not know
  # The reactors are ours, so SPDK's and the scheduler that moves threads between them stay out.
  set(without spdk_event spdk_event_scheduler)
  spdkio_pkgconf(spdkio::sys PREFIX spdk QUIET STATIC MODULES ${modules} WITHOUT ${without}
    FORCE_WHOLE_ARCHIVE "spdk_*" "rte_*" ${ARGN})
  if(NOT spdk_FOUND AND spdk_ERROR_KIND STREQUAL "FORCE_NO_ARCHIVE")
    # Installed as shared libraries alone: those run their constructors, but keep no name to themselves.
    spdkio_pkgconf(spdkio::sys PREFIX spdk QUIET MODULES ${modules} WITHOUT ${without} ${ARGN})
  endif()
  set(spdk_VERSION "")
  if(spdk_FOUND)
    _spdkio_spdk_version("${spdk_INCLUDE_DIRS}" spdk_VERSION)
  endif()
  foreach(result FOUND VERSION ERROR ERROR_KIND INCLUDE_DIRS)
    set(spdk_${result} "${spdk_${result}}" PARENT_SCOPE)
  endforeach()
endfunction()
