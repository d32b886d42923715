# Install rules and packages. Two install components: `dev` (library, headers, package files) and `tool` (the program,
# its completions, documents); a shared build adds `lib`.

include(CMakePackageConfigHelpers)

set(SPDKIO_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/spdkio")

install(TARGETS spdkio EXPORT spdkioTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT dev
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT lib NAMELINK_COMPONENT dev)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/spdkio" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT dev
  FILES_MATCHING PATTERN "*.hpp")
install(EXPORT spdkioTargets NAMESPACE spdkio:: DESTINATION "${SPDKIO_CMAKE_DIR}" COMPONENT dev)
if(TARGET spdkio_engine_spdk_static)
  install(EXPORT spdkioEngineSpdkTargets NAMESPACE spdkio:: DESTINATION "${SPDKIO_CMAKE_DIR}" COMPONENT dev)
  install(FILES cmake/SpdkioFindSpdk.cmake DESTINATION "${SPDKIO_CMAKE_DIR}" COMPONENT dev)
endif()

configure_package_config_file(cmake/spdkioConfig.cmake.in "${PROJECT_BINARY_DIR}/package/spdkioConfig.cmake"
  INSTALL_DESTINATION "${SPDKIO_CMAKE_DIR}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/spdkioConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
    "${PROJECT_BINARY_DIR}/package/spdkioConfig.cmake"
    "${PROJECT_BINARY_DIR}/package/spdkioConfigVersion.cmake"
    cmake/FindLiburing.cmake cmake/FindNuma.cmake
  DESTINATION "${SPDKIO_CMAKE_DIR}" COMPONENT dev)
install(FILES cmake/PkgConf.cmake DESTINATION "${SPDKIO_CMAKE_DIR}" COMPONENT dev OPTIONAL)

set(_pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
file(RELATIVE_PATH SPDKIO_PC_PREFIX "/${_pc_dir}" "/")
string(REGEX REPLACE "/$" "" SPDKIO_PC_PREFIX "${SPDKIO_PC_PREFIX}")
list(JOIN SPDKIO_PKGCONFIG_REQUIRES ", " SPDKIO_PC_REQUIRES)
configure_file(packaging/pkgconfig/spdkio.pc.in "${PROJECT_BINARY_DIR}/package/spdkio.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/package/spdkio.pc" DESTINATION "${_pc_dir}" COMPONENT dev)

if(TARGET spdkio_tool)
  if(BUILD_SHARED_LIBS)
    file(RELATIVE_PATH _to_lib "/${CMAKE_INSTALL_BINDIR}" "/${CMAKE_INSTALL_LIBDIR}")
    set_target_properties(spdkio_tool PROPERTIES INSTALL_RPATH "$ORIGIN/${_to_lib}")
  endif()
  install(TARGETS spdkio_tool RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT tool)

  # The program writes its own completions.
  set(_completions)
  foreach(_shell_file IN ITEMS
      "bash:bash-completion/completions/spdkio" "zsh:zsh/site-functions/_spdkio" "fish:fish/vendor_completions.d/spdkio.fish")
    string(REGEX MATCH "^([a-z]+):(.*)$" _ "${_shell_file}")
    set(_shell "${CMAKE_MATCH_1}")
    cmake_path(GET CMAKE_MATCH_2 PARENT_PATH _folder)
    cmake_path(GET CMAKE_MATCH_2 FILENAME _name)
    set(_completion "${PROJECT_BINARY_DIR}/completions/${_shell}/${_name}")
    add_custom_command(OUTPUT "${_completion}"
      COMMAND "${CMAKE_COMMAND}" -E make_directory "${PROJECT_BINARY_DIR}/completions/${_shell}"
      COMMAND spdkio_tool completion ${_shell} > "${_completion}"
      DEPENDS spdkio_tool VERBATIM)
    list(APPEND _completions "${_completion}")
    install(FILES "${_completion}" DESTINATION "${CMAKE_INSTALL_DATADIR}/${_folder}" COMPONENT tool OPTIONAL)
  endforeach()
  add_custom_target(spdkio_completions ALL DEPENDS ${_completions})
endif()

install(FILES README.md CHANGELOG.md DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/spdkio" COMPONENT tool OPTIONAL)
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/spdkio" RENAME copyright COMPONENT tool)
install(DIRECTORY docs/ DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/spdkio" COMPONENT tool OPTIONAL FILES_MATCHING PATTERN "*.md")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/libspdkio-dev" RENAME copyright COMPONENT dev)

# Packages: `cpack -G DEB` in the build folder.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME spdkio)
set(CPACK_PACKAGE_VENDOR "The spdk-io for C++ authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DIRECTORY "${PROJECT_BINARY_DIR}/package")
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_COMPONENTS_ALL dev)
if(TARGET spdkio_tool)
  list(APPEND CPACK_COMPONENTS_ALL tool)
endif()
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The spdk-io for C++ authors <spdkio@localhost>")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
if(BUILD_SHARED_LIBS)
  # The library that the program needs comes from the same packages.
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${PROJECT_BINARY_DIR}")
endif()

set(CPACK_DEBIAN_DEV_PACKAGE_NAME libspdkio-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
list(JOIN SPDKIO_DEBIAN_DEPENDS ", " CPACK_DEBIAN_DEV_PACKAGE_DEPENDS)
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS "libasio-dev | libboost1.81-dev, libuv1-dev")  # for the headers in spdkio/adapters
set(CPACK_COMPONENT_DEV_DESCRIPTION "Asynchronous user-space storage library: headers, library, CMake and pkg-config files")

set(CPACK_DEBIAN_TOOL_PACKAGE_NAME spdkio)
set(CPACK_DEBIAN_TOOL_PACKAGE_SECTION admin)
set(CPACK_COMPONENT_TOOL_DESCRIPTION "Command line of the spdkio storage library: bench, copy, list, rpc, doctor")

if(BUILD_SHARED_LIBS)
  list(APPEND CPACK_COMPONENTS_ALL lib)
  set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)
  set(CPACK_COMPONENT_TOOL_DEPENDS lib)
  set(CPACK_COMPONENT_DEV_DEPENDS lib)
  set(CPACK_DEBIAN_LIB_PACKAGE_NAME libspdkio${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  set(CPACK_DEBIAN_LIB_PACKAGE_SECTION libs)
  set(CPACK_COMPONENT_LIB_DESCRIPTION "Asynchronous user-space storage library")
endif()

include(CPack)
