# A translation unit of the C++ blocks of a Markdown document, each in a namespace of its own, with the document's line
# numbers.
BEGIN {
  print "#include <spdkio/bdev/coroutine_device.hpp>"
  print "#include <spdkio/bdev/service.hpp>"
  print "#include <spdkio/blob/blobstore.hpp>"
  print "#include <spdkio/rpc/method_table.hpp>"
  print "#include <spdkio/spdkio.hpp>"
  print "#include <spdkio/testing/target_process.hpp>"
  print "#include <algorithm>"
  print "#include <ranges>"
  print "#include <vector>"
}
/^```cpp$/ {
  inside = 1
  printf "namespace snippet_%d {\nusing namespace spdkio;\n#line %d\n", ++count, FNR + 1
  next
}
/^```/ {
  if (inside) print "}"
  inside = 0
  next
}
inside { print }
END {
  if (count == 0) {
    print "no C++ in the document" > "/dev/stderr"
    exit 1
  }
}
