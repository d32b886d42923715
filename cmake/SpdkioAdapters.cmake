# What the optional headers of include/spdkio/adapters stand on. The library does not: only their tests, examples and
# header checks need it, and are left out where it is not installed.

include_guard(GLOBAL)

set(SPDKIO_ADAPTER_LIBRARIES)  # targets, for tests and the header check
set(SPDKIO_MISSING_ADAPTERS)   # stems of headers, tests and examples to leave out

find_path(SPDKIO_ASIO_INCLUDE_DIR asio.hpp)
find_path(SPDKIO_UV_INCLUDE_DIR uv.h)
find_library(SPDKIO_UV_LIBRARY uv)
mark_as_advanced(SPDKIO_ASIO_INCLUDE_DIR SPDKIO_UV_INCLUDE_DIR SPDKIO_UV_LIBRARY)

foreach(adapter IN ITEMS asio uv)
  string(TOUPPER ${adapter} _adapter)
  if(SPDKIO_${_adapter}_INCLUDE_DIR AND (adapter STREQUAL "asio" OR SPDKIO_UV_LIBRARY))
    add_library(spdkio_needs_${adapter} INTERFACE)
    target_include_directories(spdkio_needs_${adapter} SYSTEM INTERFACE "${SPDKIO_${_adapter}_INCLUDE_DIR}")
    list(APPEND SPDKIO_ADAPTER_LIBRARIES spdkio_needs_${adapter})
  else()
    list(APPEND SPDKIO_MISSING_ADAPTERS ${adapter})
    message(STATUS "${adapter} is not installed: its adapter is not tested")
  endif()
endforeach()
if(TARGET spdkio_needs_uv)
  target_link_libraries(spdkio_needs_uv INTERFACE "${SPDKIO_UV_LIBRARY}")
endif()

# spdkio_drop_missing_adapters(<list>): takes adapters/<missing>.hpp, adapters/<missing>_test.cpp out of a list of files.
function(spdkio_drop_missing_adapters list)
  set(files ${${list}})
  foreach(adapter IN LISTS SPDKIO_MISSING_ADAPTERS)
    list(FILTER files EXCLUDE REGEX "adapters/${adapter}(_test)?\\.[ch]pp$")
  endforeach()
  set(${list} ${files} PARENT_SCOPE)
endfunction()
