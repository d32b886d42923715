# Finds libnuma and defines the imported target Numa::numa. pkg-config is asked first when there is one.

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(PC_Numa QUIET numa)
endif()

find_path(Numa_INCLUDE_DIR NAMES numa.h HINTS ${PC_Numa_INCLUDE_DIRS})
find_library(Numa_LIBRARY NAMES numa HINTS ${PC_Numa_LIBRARY_DIRS})

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Numa
  REQUIRED_VARS Numa_LIBRARY Numa_INCLUDE_DIR
  VERSION_VAR PC_Numa_VERSION)
mark_as_advanced(Numa_INCLUDE_DIR Numa_LIBRARY)

if(Numa_FOUND AND NOT TARGET Numa::numa)
  add_library(Numa::numa UNKNOWN IMPORTED)
  set_target_properties(Numa::numa PROPERTIES
    IMPORTED_LOCATION "${Numa_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${Numa_INCLUDE_DIR}")
endif()
