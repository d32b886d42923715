# The release of an installed SPDK is found in its header, and one that is too old is told from one that is not.
#   cmake -DMODULE_PATH=<cmake folder> -DWORK=<folder> -P version_test.cmake
cmake_minimum_required(VERSION 3.25)
list(APPEND CMAKE_MODULE_PATH "${MODULE_PATH}")
include(SpdkioEngineSpdk)

function(expect_version major minor expected)
  set(folder "${WORK}/${major}.${minor}")
  file(WRITE "${folder}/spdk/version.h" "#ifndef SPDK_VERSION_H\n#define SPDK_VERSION_H\n"
    "#define SPDK_VERSION_MAJOR\t${major}\n#define SPDK_VERSION_MINOR\t${minor}\n#define SPDK_VERSION_PATCH\t0\n"
    "#define SPDK_VERSION_NUM(major, minor, patch) \\\n  (((major)*10000) + (minor)*100 + patch)\n#endif\n")
  _spdkio_spdk_version("${folder}" version)
  if(NOT version STREQUAL "${major}.${minor}")
    message(FATAL_ERROR "found '${version}' instead of ${major}.${minor}")
  endif()
  set(found new)
  if(version VERSION_LESS minimum_spdk)
    set(found old)
  endif()
  if(NOT found STREQUAL expected)
    message(FATAL_ERROR "${version} is taken for ${found}")
  endif()
endfunction()

set(minimum_spdk "${SPDKIO_MINIMUM_SPDK}")
expect_version(23 5 old)
expect_version(24 5 old)
expect_version(24 9 new)
expect_version(25 1 new)
expect_version(26 5 new)
file(REMOVE_RECURSE "${WORK}")
