# Compiles every public header alone, twice in the same unit, with nothing but the public include folder: a header that
# leans on its includer, lacks a guard or needs a private header fails here.

file(GLOB_RECURSE _headers CONFIGURE_DEPENDS
  RELATIVE "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/include/spdkio/*.hpp")
spdkio_drop_missing_adapters(_headers)

set(_units)
foreach(_header IN LISTS _headers)
  string(REGEX REPLACE "\\.hpp$" ".cpp" _unit "${PROJECT_BINARY_DIR}/header_check/${_header}")
  file(CONFIGURE OUTPUT "${_unit}" CONTENT "#include <@_header@>\n#include <@_header@>\n" @ONLY)
  list(APPEND _units "${_unit}")
endforeach()

if(_units)
  add_library(spdkio_header_check OBJECT ${_units})
  target_include_directories(spdkio_header_check PRIVATE "${PROJECT_SOURCE_DIR}/include")
  target_link_libraries(spdkio_header_check PRIVATE spdkio_warnings ${SPDKIO_PUBLIC_DEPENDENCIES} ${SPDKIO_ADAPTER_LIBRARIES})
  target_compile_options(spdkio_header_check PRIVATE -O0 -g0)
endif()
