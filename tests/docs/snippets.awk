# A translation unit of the C++ blocks of Markdown documents, each in a namespace of its own.
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
function end_of_document() {
  if (document != "" && blocks == 0) {
    print "no C++ in " document > "/dev/stderr"
    failed = 1
    exit 1
  }
}
FNR == 1 {
  end_of_document()
  document = FILENAME
  blocks = 0
}
/^```cpp$/ {
  inside = 1
  blocks += 1
  printf "namespace snippet_%d {\nusing namespace spdkio;\n#line %d \"%s\"\n", ++count, FNR + 1, FILENAME
  next
}
/^```/ {
  if (inside) print "}"
  inside = 0
  next
}
inside { print }
END {
  if (!failed) end_of_document()
}
