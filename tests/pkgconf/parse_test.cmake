# spdkio_pkgconf_parse on recorded output: what goes in, what comes out.

include("${CMAKE_CURRENT_LIST_DIR}/check.cmake")

# A local SPDK with its DPDK, and a distribution, in miniature.
set(spdk "${WORK}/opt/spdk/lib")
set(dpdk "${WORK}/opt/spdk/dpdk/lib")
set(dist "${WORK}/usr/lib")
foreach(lib nvme keyring sock trace jsonrpc json dma sock_posix env_dpdk util log)
  touch("opt/spdk/lib/libspdk_${lib}.a")
endforeach()
foreach(lib bus_pci eal kvargs mempool mempool_ring ring telemetry)
  touch("opt/spdk/dpdk/lib/librte_${lib}.a" "opt/spdk/dpdk/lib/librte_${lib}.so")
  touch("usr/lib/librte_${lib}.a" "usr/lib/librte_${lib}.so")
endforeach()
foreach(lib aio crypto ssl numa uuid rt m dl pthread isal atomic fdt bsd)
  touch("usr/lib/lib${lib}.so" "usr/lib/lib${lib}.a")
endforeach()
touch(usr/lib/libonlystatic.a)
touch("with space/lib/libodd.a" "with space/lib/libodd.so" a/libx.a b/libx.a a/libshared.so b/libshared.a a/libboth.a a/libboth.so)

# A macro's arguments are evaluated twice: texts with backslashes call the function itself.
macro(parse)
  spdkio_pkgconf_parse(p ${ARGN} SYSTEM_ROOTS "${dist}" SEARCH_DIRS "${dist}")
endmacro()

# --- static detection and order ---------------------------------------------------------------------------------------

case("SPDK, static: local archives by path, the distribution's libraries by name, nothing moved or merged")
recorded(text spdk_static.txt)
parse(LIBS "${text}" STATIC)
expect(p_FOUND TRUE)
expect(p_ERROR)
expect(p_LINK_LINE
  -L${spdk} ${spdk}/libspdk_nvme.a ${spdk}/libspdk_keyring.a ${spdk}/libspdk_sock.a ${spdk}/libspdk_trace.a
  ${spdk}/libspdk_jsonrpc.a ${spdk}/libspdk_json.a ${spdk}/libspdk_dma.a ${spdk}/libspdk_sock_posix.a
  ${spdk}/libspdk_env_dpdk.a ${spdk}/libspdk_util.a ${spdk}/libspdk_log.a -L${dpdk} ${dpdk}/librte_bus_pci.a
  ${dpdk}/librte_eal.a ${dpdk}/librte_kvargs.a ${dpdk}/librte_mempool.a ${dpdk}/librte_mempool_ring.a
  ${dpdk}/librte_ring.a ${dpdk}/librte_telemetry.a -laio -lcrypto -lssl -lnuma -luuid -lrt -lm -ldl -lpthread -lisal
  ${spdk}/libspdk_log.a)
expect(p_LIBRARY_DIRS ${spdk} ${dpdk})
expect(p_WHOLE_LIBRARIES)
expect(p_SHARED_LIBRARIES -laio -lcrypto -lssl -lnuma -luuid -lrt -lm -ldl -lpthread -lisal)

case("the same without STATIC: the words of pkg-config, the linker decides")
string(STRIP "${text}" words)
string(REGEX REPLACE " +" ";" words "${words}")
parse(LIBS "${text}")
expect(p_LINK_LINE ${words})
# DPDK has both files and the linker prefers the shared one; SPDK has archives alone.
expect_match(p_STATIC_LIBRARIES "libspdk_nvme.a")
expect_match(p_SHARED_LIBRARIES "-lrte_eal;")

case("a library is looked up where the linker would find it first")
parse(LIBS "-lshared -L${WORK}/a -L${WORK}/b -lx" STATIC)
expect(p_LINK_LINE -lshared -L${WORK}/a -L${WORK}/b ${WORK}/a/libx.a)

case("-Bstatic in force: the shared file does not count")
parse(LIBS "-L${WORK}/a -L${WORK}/b -Wl,-Bstatic -lshared -lboth -Wl,-Bdynamic -lshared")
expect(p_LINK_LINE -L${WORK}/a -L${WORK}/b -Wl,-Bstatic -lshared -lboth -Wl,-Bdynamic -lshared)
expect(p_STATIC_LIBRARIES ${WORK}/b/libshared.a ${WORK}/a/libboth.a)
expect(p_SHARED_LIBRARIES -lshared)

case("a system archive with no shared library beside it stays -l, and is known to be an archive")
parse(LIBS "-lonlystatic" STATIC)
expect(p_LINK_LINE -lonlystatic)
expect(p_STATIC_LIBRARIES ${dist}/libonlystatic.a)
expect(p_SHARED_LIBRARIES)

case("system roots hold for everything below them, through symbolic links and whatever the spelling")
file(MAKE_DIRECTORY "${WORK}/usr/lib/deep")
touch(usr/lib/deep/libd.a)
file(CREATE_LINK "${WORK}/usr/lib" "${WORK}/link" SYMBOLIC)
parse(LIBS "-L${WORK}/usr/lib/deep -ld" STATIC)
expect(p_LINK_LINE -L${WORK}/usr/lib/deep -ld)
parse(LIBS "-L${WORK}/link/deep -ld" STATIC)
expect(p_LINK_LINE -L${WORK}/link/deep -ld)
parse(LIBS "-L${WORK}/a/../usr/lib/deep/ -ld" STATIC)
expect(p_LINK_LINE -L${WORK}/a/../usr/lib/deep/ -ld)

case("a directory is not under a root because its name begins the same way")
touch(usr/libexec-local/libe.a)
parse(LIBS "-L${WORK}/usr/libexec-local -le" STATIC)
expect(p_LINK_LINE -L${WORK}/usr/libexec-local ${WORK}/usr/libexec-local/libe.a)

case("other system roots")
spdkio_pkgconf_parse(p LIBS "-L${spdk} -lspdk_log -L${dist} -lnuma" STATIC SYSTEM_ROOTS ${spdk} /nowhere SEARCH_DIRS ${dist})
expect(p_LINK_LINE -L${spdk} -lspdk_log -L${dist} ${dist}/libnuma.a)

case("PKG_CONFIG_SYSTEM_LIBRARY_PATH adds system roots and is searched")
set(ENV{PKG_CONFIG_SYSTEM_LIBRARY_PATH} "/nowhere:${WORK}/b")
spdkio_pkgconf_parse(p LIBS "-L${WORK}/a -lx -lshared" STATIC)
expect(p_LINK_LINE -L${WORK}/a ${WORK}/a/libx.a -lshared)
spdkio_pkgconf_parse(p LIBS "-L${WORK}/b -lx" STATIC)
expect(p_LINK_LINE -L${WORK}/b -lx)
spdkio_pkgconf_parse(p LIBS "-lx" FORCE_WHOLE_ARCHIVE x)
expect(p_LINK_LINE -Wl,--whole-archive ${WORK}/b/libx.a -Wl,--no-whole-archive)
unset(ENV{PKG_CONFIG_SYSTEM_LIBRARY_PATH})

case("default system roots know /usr/lib and leave /usr/local alone; under a sysroot they mean the sysroot's")
touch(root/usr/lib/libs.a root/usr/local/lib/libl.a)
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${WORK}/root")
spdkio_pkgconf_parse(p LIBS "-L${WORK}/root/usr/lib -ls -L${WORK}/root/usr/local/lib -ll" STATIC)
expect(p_LINK_LINE -L${WORK}/root/usr/lib -ls -L${WORK}/root/usr/local/lib ${WORK}/root/usr/local/lib/libl.a)
unset(ENV{PKG_CONFIG_SYSROOT_DIR})
spdkio_pkgconf_parse(p LIBS "-L${WORK}/root/usr/lib -ls" STATIC)
expect(p_LINK_LINE -L${WORK}/root/usr/lib ${WORK}/root/usr/lib/libs.a)
spdkio_pkgconf_parse(p LIBS "-L=/usr/lib -ls -L=/usr/local/lib -ll" STATIC SYSROOT "${WORK}/root/")
expect(p_LINK_LINE -L=/usr/lib -ls -L=/usr/local/lib ${WORK}/root/usr/local/lib/libl.a)

# --- whole-archive regions --------------------------------------------------------------------------------------------

case("DPDK as Debian ships it: its own region survives word for word, repetitions included")
recorded(text dpdk_debian_static.txt)
string(STRIP "${text}" words)
string(REGEX REPLACE " +" ";" words "${words}")
parse(LIBS "${text}" STATIC)
expect(p_LINK_LINE ${words})
list(TRANSFORM p_WHOLE_LIBRARIES REPLACE "^.*/" "" OUTPUT_VARIABLE names)
expect(names librte_bus_pci.a librte_mempool_ring.a librte_mempool.a librte_ring.a librte_eal.a librte_telemetry.a librte_kvargs.a)

case("a forced library that is whole already: nothing is added")
parse(LIBS "${text}" STATIC FORCE_WHOLE_ARCHIVE rte_mempool_ring)
expect(p_LINK_LINE ${words})

case("... and its later plain mention, which could bring in the shared one, goes")
parse(LIBS "${text}" STATIC FORCE_WHOLE_ARCHIVE rte_eal)
list(REMOVE_ITEM words -lrte_eal)
expect(p_LINK_LINE ${words})

case("plain mentions ahead of a region would define every symbol twice: they go, the region stays")
recorded(text spdk_with_libdpdk_static.txt)
parse(LIBS "${text}" STATIC)
expect(p_LINK_LINE
  -L${spdk} ${spdk}/libspdk_env_dpdk.a ${spdk}/libspdk_log.a -L${dpdk} -Wl,--whole-archive -l:librte_bus_pci.a
  -l:librte_mempool_ring.a -l:librte_mempool.a -l:librte_ring.a -l:librte_eal.a -Wl,--no-whole-archive
  -Wl,--export-dynamic -latomic -Wl,--as-needed ${dpdk}/librte_mempool.a ${dpdk}/librte_ring.a ${dpdk}/librte_eal.a
  -pthread -lm -ldl -lnuma -lfdt)

case("two regions with the same archive: whole once")
parse(LIBS "-L${WORK}/a -Wl,--whole-archive -lx -Wl,--no-whole-archive -lm -Wl,--whole-archive ${WORK}/a/libx.a -lboth -Wl,--no-whole-archive" STATIC)
expect(p_LINK_LINE -L${WORK}/a -Wl,--whole-archive ${WORK}/a/libx.a -Wl,--no-whole-archive -lm -Wl,--whole-archive
  ${WORK}/a/libboth.a -Wl,--no-whole-archive)
expect(p_WHOLE_LIBRARIES ${WORK}/a/libx.a ${WORK}/a/libboth.a)

case("two archives of one name are two archives")
parse(LIBS "-Wl,--whole-archive ${WORK}/a/libx.a ${WORK}/b/libx.a -Wl,--no-whole-archive")
expect(p_LINK_LINE -Wl,--whole-archive ${WORK}/a/libx.a ${WORK}/b/libx.a -Wl,--no-whole-archive)

case("archives that are not on this machine: one name is one archive, and nothing else changes")
parse(LIBS "-l:libgone.a -Wl,--whole-archive -l:libgone.a -l:libother.a -Wl,--no-whole-archive -l:libgone.a -lgone")
expect(p_LINK_LINE -Wl,--whole-archive -l:libgone.a -l:libother.a -Wl,--no-whole-archive -l:libgone.a -lgone)

case("forced: one region at the first mention, repetitions gone, its neighbours in place")
parse(LIBS "-L${WORK}/a -lm -lx -lboth -lx -ldl -lx" STATIC FORCE_WHOLE_ARCHIVE x)
expect(p_LINK_LINE -L${WORK}/a -lm -Wl,--whole-archive ${WORK}/a/libx.a -Wl,--no-whole-archive ${WORK}/a/libboth.a -ldl)
expect(p_WHOLE_LIBRARIES ${WORK}/a/libx.a)
expect(p_STATIC_LIBRARIES ${WORK}/a/libx.a ${WORK}/a/libboth.a)

case("forced neighbours share a region; a name given twice is one name")
parse(LIBS "-L${WORK}/a -lx -lboth -lm" STATIC FORCE_WHOLE_ARCHIVE both x x)
expect(p_LINK_LINE -L${WORK}/a -Wl,--whole-archive ${WORK}/a/libx.a ${WORK}/a/libboth.a -Wl,--no-whole-archive -lm)

case("forced at the end of the line: the region is closed")
parse(LIBS "-L${WORK}/a -lm -lx" FORCE_WHOLE_ARCHIVE x)
expect(p_LINK_LINE -L${WORK}/a -lm -Wl,--whole-archive ${WORK}/a/libx.a -Wl,--no-whole-archive)

case("forced takes the archive where the linker would take the shared library, and in system roots")
parse(LIBS "-L${WORK}/a -lboth -lnuma" FORCE_WHOLE_ARCHIVE both numa)
expect(p_LINK_LINE -L${WORK}/a -Wl,--whole-archive ${WORK}/a/libboth.a ${dist}/libnuma.a -Wl,--no-whole-archive)

case("forced, by the path of the shared library: the archive beside it")
parse(LIBS "${WORK}/a/libboth.so -lm" FORCE_WHOLE_ARCHIVE both)
expect(p_LINK_LINE -Wl,--whole-archive ${WORK}/a/libboth.a -Wl,--no-whole-archive -lm)

case("forced, by the path of the archive and by -l:")
parse(LIBS "${WORK}/a/libx.a -L${WORK}/a -l:libboth.a -lx" FORCE_WHOLE_ARCHIVE x both)
expect(p_LINK_LINE -Wl,--whole-archive ${WORK}/a/libx.a -Wl,--no-whole-archive -L${WORK}/a -Wl,--whole-archive
  -l:libboth.a -Wl,--no-whole-archive)

case("forced, plain first and in pkg-config's region later: the region, once")
parse(LIBS "-L${WORK}/a -lx -lm -Wl,--whole-archive -lboth -lx -Wl,--no-whole-archive -lx" STATIC FORCE_WHOLE_ARCHIVE x)
expect(p_LINK_LINE -L${WORK}/a -lm -Wl,--whole-archive ${WORK}/a/libboth.a ${WORK}/a/libx.a -Wl,--no-whole-archive)

case("SPDK with its constructors forced")
recorded(text spdk_static.txt)
parse(LIBS "${text}" STATIC FORCE_WHOLE_ARCHIVE spdk_nvme spdk_sock_posix rte_mempool_ring rte_bus_pci spdk_log)
list(JOIN p_LINK_LINE " " line)
string(REPLACE "${WORK}/opt/spdk/" "" line "${line}")
set(whole "-Wl,--whole-archive")
set(plain "-Wl,--no-whole-archive")
expect(line "-Llib ${whole} lib/libspdk_nvme.a ${plain} lib/libspdk_keyring.a lib/libspdk_sock.a lib/libspdk_trace.a \
lib/libspdk_jsonrpc.a lib/libspdk_json.a lib/libspdk_dma.a ${whole} lib/libspdk_sock_posix.a ${plain} \
lib/libspdk_env_dpdk.a lib/libspdk_util.a ${whole} lib/libspdk_log.a ${plain} -Ldpdk/lib ${whole} \
dpdk/lib/librte_bus_pci.a ${plain} dpdk/lib/librte_eal.a dpdk/lib/librte_kvargs.a dpdk/lib/librte_mempool.a ${whole} \
dpdk/lib/librte_mempool_ring.a ${plain} dpdk/lib/librte_ring.a dpdk/lib/librte_telemetry.a -laio -lcrypto -lssl \
-lnuma -luuid -lrt -lm -ldl -lpthread -lisal")

case("a pattern forces all that match, beside names, less those left out")
recorded(text spdk_static.txt)
parse(LIBS "${text}" STATIC FORCE_WHOLE_ARCHIVE spdk_sock* rte_*_ring rte_eal spdk_sock_posix)
list(TRANSFORM p_WHOLE_LIBRARIES REPLACE "^.*/" "" OUTPUT_VARIABLE names)
expect(names libspdk_sock.a libspdk_sock_posix.a librte_eal.a librte_mempool_ring.a)
parse(LIBS "${text}" STATIC FORCE_WHOLE_ARCHIVE spdk_s* WITHOUT spdk_sock)
expect(p_WHOLE_LIBRARIES ${spdk}/libspdk_sock_posix.a)
parse(LIBS "-L${WORK}/a -lx" FORCE_WHOLE_ARCHIVE y*)
expect(p_ERROR_KIND FORCE_NOT_LISTED)
expect_match(p_ERROR "'y\\*'")

# --- the linker's state in its several spellings ----------------------------------------------------------------------

# Each of these holds libx in a region, so that forcing it adds none and a later plain mention goes.
foreach(open_close
    "-Wl,--whole-archive|-Wl,--no-whole-archive"
    "-Wl,-whole-archive|-Wl,-no-whole-archive"
    "-Wl,--push-state,--whole-archive|-Wl,--pop-state"
    "-Wl,--push-state -Wl,--as-needed,--whole-archive|-Wl,--pop-state"
    "-Xlinker --whole-archive|-Xlinker --no-whole-archive"
    "-Xlinker --push-state -Xlinker --whole-archive|-Xlinker --pop-state"
    "-Wl,--whole-archive,--push-state,--no-whole-archive,--pop-state|-Wl,--no-whole-archive")
  case("region written as ${open_close}")
  string(REPLACE "|" ";" open_close "${open_close}")
  list(GET open_close 0 open)
  list(GET open_close 1 close)
  parse(LIBS "-L${WORK}/a -lm ${open} -l:libx.a ${close} -lx -lboth" STATIC FORCE_WHOLE_ARCHIVE x)
  string(REPLACE " " ";" open "${open}")
  string(REPLACE " " ";" close "${close}")
  expect(p_LINK_LINE -L${WORK}/a -lm ${open} -l:libx.a ${close} ${WORK}/a/libboth.a)
  expect(p_WHOLE_LIBRARIES ${WORK}/a/libx.a)
endforeach()

case("--pop-state ends a region")
parse(LIBS "-L${WORK}/a -Wl,--push-state,--whole-archive -lboth -Wl,--pop-state -lx" STATIC FORCE_WHOLE_ARCHIVE x)
expect(p_LINK_LINE -L${WORK}/a -Wl,--push-state,--whole-archive ${WORK}/a/libboth.a -Wl,--pop-state
  -Wl,--whole-archive ${WORK}/a/libx.a -Wl,--no-whole-archive)

case("a --pop-state too many does no harm")
parse(LIBS "-Wl,--pop-state -lm")
expect(p_LINK_LINE -Wl,--pop-state -lm)

case("libraries inside -Wl, and behind -Xlinker stand for themselves")
parse(LIBS "-L${WORK}/a -Wl,--whole-archive,-lx,--no-whole-archive -Wl,-l,m,--as-needed -Xlinker -lboth -Wl,${WORK}/b/libx.a,-z,now" STATIC)
expect(p_LINK_LINE -L${WORK}/a -Wl,--whole-archive ${WORK}/a/libx.a -Wl,--no-whole-archive -lm -Wl,--as-needed
  ${WORK}/a/libboth.a ${WORK}/b/libx.a -Wl,-z,now)
expect(p_WHOLE_LIBRARIES ${WORK}/a/libx.a)

case("arguments of linker options are no libraries")
set(line "-Wl,-rpath,/opt/x.a,-soname,libme.so.1 -Wl,--exclude-libs,libx.a -Wl,-rpath -Wl,/opt/y.so -Xlinker -rpath -Xlinker /opt/z.a -u libq.a -T link.so")
string(REPLACE " " ";" words "${line}")
parse(LIBS "${line}" STATIC)
expect(p_LINK_LINE ${words})
expect(p_STATIC_LIBRARIES)
expect(p_SHARED_LIBRARIES)

case("bare region words, which pkgconf makes of -Xlinker, get their prefix back")
parse(LIBS "-L${WORK}/a --whole-archive -lx -Xlinker --no-whole-archive -lboth" STATIC)
expect(p_LINK_LINE -L${WORK}/a -Wl,--whole-archive ${WORK}/a/libx.a -Xlinker --no-whole-archive ${WORK}/a/libboth.a)
expect(p_WHOLE_LIBRARIES ${WORK}/a/libx.a)

# --- forms of words ---------------------------------------------------------------------------------------------------

case("absolute paths, -l:, -pthread, groups, rpath and unknown words keep their form and place")
set(line "${WORK}/a/libx.a -pthread ${WORK}/a/libboth.so /nowhere/liby.so.1.2 -l:libz.so.3 -Wl,--start-group -lm -ldl -Wl,--end-group -Wl,-rpath,/opt/x -pthread -fuse-ld=bfd -flto=auto @response -lm")
string(REPLACE " " ";" words "${line}")
parse(LIBS "${line}" STATIC)
expect(p_LINK_LINE ${words})
expect(p_STATIC_LIBRARIES ${WORK}/a/libx.a)
expect(p_SHARED_LIBRARIES ${WORK}/a/libboth.so /nowhere/liby.so.1.2 -l:libz.so.3 -lm -ldl)

case("frameworks stay with their names")
set(line "-framework CoreFoundation -F /Library/Frameworks -lm -framework IOKit -weak_framework x.a -Wl,-framework,Metal -framework CoreFoundation")
string(REPLACE " " ";" words "${line}")
parse(LIBS "${line}" STATIC)
expect(p_LINK_LINE ${words})

case("-l and -L with the argument apart")
parse(LIBS "-L ${WORK}/a -l x -Wl,-L,${WORK}/b -Xlinker -L -Xlinker ${dpdk} -l shared" STATIC)
expect(p_LINK_LINE -L${WORK}/a ${WORK}/a/libx.a -Wl,-L,${WORK}/b -Xlinker -L -Xlinker ${dpdk} -lshared)
expect(p_LIBRARY_DIRS ${WORK}/a ${WORK}/b ${dpdk})

case("an option that announces an argument at the end of the line")
parse(LIBS "-lm -Xlinker")
expect(p_LINK_LINE -lm -Xlinker)

case("blanks, quotes, dollars, brackets and backslashes")
spdkio_pkgconf_parse(p LIBS "-L${WORK}/with\\ space/lib \"-lodd\" '-Wl,-rpath,\$ORIGIN/../lib' -Wl,-z,a\\[b -DX=\\\\n -lm" STATIC)
list(GET p_LINK_LINE 0 dir)
expect(dir "-L${WORK}/with space/lib")
list(GET p_LINK_LINE 1 odd)
expect(odd "${WORK}/with space/lib/libodd.a")
list(GET p_LINK_LINE 2 rpath)
expect(rpath "-Wl,-rpath,\$ORIGIN/../lib")
expect_match(p_LINK_LINE "-Wl,-z,a\\[b")
expect_match(p_LINK_LINE "-DX=\\\\n")

case("nothing in, nothing out")
parse(LIBS "" CFLAGS "")
expect(p_FOUND TRUE)
expect(p_LINK_LINE)
parse(LIBS "   ")
expect(p_FOUND TRUE)
expect(p_LINK_LINE)

case("WITHOUT takes a library out in every form and says nothing when it is not there")
parse(LIBS "-L${WORK}/a -lm -lx -l:libx.a ${WORK}/b/libx.a -lboth" WITHOUT x systemd)
expect(p_LINK_LINE -L${WORK}/a -lm -lboth)

# --- compile flags ----------------------------------------------------------------------------------------------------

case("DPDK's compile flags")
recorded(text dpdk_cflags.txt)
parse(CFLAGS "${text}")
expect(p_INCLUDE_DIRS ${WORK}/include/dpdk ${WORK}/include/dpdk/../x86_64-linux-gnu/dpdk ${WORK}/include/libnl3)
expect(p_SYSTEM_INCLUDE_DIRS)
expect(p_COMPILE_OPTIONS "SHELL:-include rte_config.h" -march=corei7)
expect(p_DEFINITIONS)

case("definitions, system directories and the rest")
spdkio_pkgconf_parse(p CFLAGS "-DA -D B=2 -DC=\\\"str\\\" -I /i1 -isystem /s1 -isystem/s2 -pthread -include a.h -include b.h -fno-x -DA")
expect(p_DEFINITIONS A B=2 "C=\"str\"" A)
expect(p_INCLUDE_DIRS /i1 /s1 /s2)
expect(p_SYSTEM_INCLUDE_DIRS /s1 /s2)
expect(p_COMPILE_OPTIONS -pthread "SHELL:-include a.h" "SHELL:-include b.h" -fno-x)

case("with -U among them, definitions keep their order")
parse(CFLAGS "-DA=1 -UA -DA=2 -I/i")
expect(p_DEFINITIONS)
expect(p_COMPILE_OPTIONS -DA=1 -UA -DA=2)

case("a blank in an option's argument")
spdkio_pkgconf_parse(p CFLAGS "-include /a\\ b/c.h")
expect(p_COMPILE_OPTIONS "SHELL:-include \"/a b/c.h\"")

case("-L among the compile flags, where the original pkg-config puts it, goes to the front of the link line")
parse(CFLAGS "-I/i -L${WORK}/a -L ${WORK}/b" LIBS "-lx -lshared" STATIC)
expect(p_LINK_LINE -L${WORK}/a -L${WORK}/b ${WORK}/a/libx.a -lshared)
expect(p_COMPILE_OPTIONS)

# --- errors -----------------------------------------------------------------------------------------------------------

case("a forced library that the output does not have")
parse(LIBS "-L${WORK}/a -lx" STATIC FORCE_WHOLE_ARCHIVE x spdk_typo)
expect(p_FOUND FALSE)
expect(p_ERROR_KIND FORCE_NOT_LISTED)
expect_match(p_ERROR "'spdk_typo'.*no such library")
expect(p_LINK_LINE)

case("a forced library that has no archive")
parse(LIBS "-L${WORK}/a -lgone -lx" FORCE_WHOLE_ARCHIVE gone)
expect(p_FOUND FALSE)
expect(p_ERROR_KIND FORCE_NO_ARCHIVE)
expect_match(p_ERROR "'gone'.*libgone\\.a.*${WORK}/a, ${dist}")
parse(LIBS "/nowhere/libgone.a -l:libgone.a /nowhere/libgone.so" FORCE_WHOLE_ARCHIVE gone)
expect(p_ERROR_KIND FORCE_NO_ARCHIVE)
parse(LIBS "-L${WORK}/a -Wl,--whole-archive -lgone -Wl,--no-whole-archive" FORCE_WHOLE_ARCHIVE gone)
expect(p_ERROR_KIND FORCE_NO_ARCHIVE)

case("a semicolon")
spdkio_pkgconf_parse(p LIBS "-lm -DA=1\\;2")
expect(p_FOUND FALSE)
expect(p_ERROR_KIND UNSUPPORTED)
expect_match(p_ERROR "-DA=1")
spdkio_pkgconf_parse(p CFLAGS "'-DA=1;2'")
expect(p_ERROR_KIND UNSUPPORTED)

case("results of an earlier call do not shine through")
parse(CFLAGS "-DA -I/i" LIBS "-lm")
parse(LIBS "-ldl")
expect(p_DEFINITIONS)
expect(p_INCLUDE_DIRS)
expect(p_LINK_LINE -ldl)

finish(119)
