# Language level, warning set, sanitizer set, compiler cache. Nothing here reaches a project that uses the library.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

# The static library may end up inside a shared object. Without semantic interposition that costs next to nothing:
# functions of one file still call and inline each other directly, as Clang does by default.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-fno-semantic-interposition)
endif()

if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
  endif()
  if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
    find_program(SPDKIO_CCACHE ccache)
    mark_as_advanced(SPDKIO_CCACHE)
    if(SPDKIO_CCACHE)
      set(CMAKE_CXX_COMPILER_LAUNCHER "${SPDKIO_CCACHE}")
    endif()
  endif()
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12.2)
  message(FATAL_ERROR "spdkio needs g++ 12.2 or newer, found ${CMAKE_CXX_COMPILER_VERSION}")
endif()

# Warnings for our own code; linked privately by every target of this project.
add_library(spdkio_warnings INTERFACE)
target_compile_options(spdkio_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Woverloaded-virtual -Wcast-qual
  $<$<BOOL:${SPDKIO_WERROR}>:-Werror>
  # GoogleTest's assertion macros hold an else of their own.
  -Wno-dangling-else
  $<$<CXX_COMPILER_ID:GNU>:-Wshadow=local -Wduplicated-cond -Wlogical-op>
  # g++ 12 reports both inside its own std::string at higher optimisation (GCC bugs 105329, 105651 and 105562).
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict -Wno-maybe-uninitialized>
  # Designated initializers that leave defaulted members out are how options are passed here.
  -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:Clang>:-Wimplicit-fallthrough -Wunreachable-code>)

# Sanitizers apply to the whole build: mixing instrumented and plain objects hides what they look for.
if(SPDKIO_SANITIZE)
  list(JOIN SPDKIO_SANITIZE "," _spdkio_sanitize)
  add_compile_options(-fsanitize=${_spdkio_sanitize} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${_spdkio_sanitize})
  if("undefined" IN_LIST SPDKIO_SANITIZE)
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()
