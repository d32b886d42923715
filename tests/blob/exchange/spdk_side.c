/* The SPDK side of the exchange: runs a script (README.md) on a store that lies in a file, with SPDK's own Blobstore.
 *
 *   spdk_side <image> [<parent image>] < script
 *
 * Ends with 0 when every line did what it says. Built by hand, see README.md. */
#include <spdk/bdev.h>
#include <spdk/blob.h>
#include <spdk/blob_bdev.h>
#include <spdk/env.h>
#include <spdk/event.h>
#include <spdk/string.h>
#include <spdk/thread.h>

static struct {
  bool done;
  int rc;
  void* result;
  uint64_t id;
} answer;

static struct spdk_blob_store* store;
static struct spdk_io_channel* channel;
static int line_number;
static bool parent_is_there;

static void fail(const char* what, int rc) {
  fprintf(stderr, "line %d: %s: %s\n", line_number, what, spdk_strerror(rc < 0 ? -rc : rc));
  _exit(1);
}

static void poll_for_answer(void) {
  while (!answer.done) spdk_thread_poll(spdk_get_thread(), 0, 0);
  answer.done = false;
}
static void wait_for_answer(const char* what) {
  poll_for_answer();
  if (answer.rc != 0) fail(what, answer.rc);
}

static void ended(void* ctx, int rc) {
  answer.rc = rc;
  answer.done = true;
}
static void ended_with_store(void* ctx, struct spdk_blob_store* made, int rc) {
  answer.result = made;
  ended(ctx, rc);
}
static void ended_with_blob(void* ctx, struct spdk_blob* blob, int rc) {
  answer.result = blob;
  ended(ctx, rc);
}
static void ended_with_id(void* ctx, spdk_blob_id id, int rc) {
  answer.id = id;
  ended(ctx, rc);
}

static void base_event(enum spdk_bdev_event_type type, struct spdk_bdev* bdev, void* ctx) {}

static int open_parent(void* store_ctx, void* blob_ctx, struct spdk_blob* blob, const void* id, uint32_t length,
                       struct spdk_bs_dev** device) {
  char name[64] = {0};
  if (length >= sizeof(name)) return -EINVAL;
  memcpy(name, id, length);
  if (!parent_is_there) {
    *device = NULL;
    return 0;
  }
  return spdk_bdev_create_bs_dev(name, false, NULL, 0, base_event, NULL, device);
}

static struct spdk_bs_opts store_options(void) {
  struct spdk_bs_opts options;
  spdk_bs_opts_init(&options, sizeof(options));
  snprintf(options.bstype.bstype, sizeof(options.bstype.bstype), "exchange");
  options.esnap_bs_dev_create = open_parent;
  return options;
}

static struct spdk_bs_dev* base(void) {
  struct spdk_bs_dev* device = NULL;
  int rc = spdk_bdev_create_bs_dev_ext("base", base_event, NULL, &device);
  if (rc != 0) fail("open the base", rc);
  return device;
}

static void take_store(const char* what) {
  wait_for_answer(what);
  store = answer.result;
  channel = spdk_bs_alloc_io_channel(store);
}

static struct spdk_blob* open_blob(spdk_blob_id id) {
  spdk_bs_open_blob(store, id, ended_with_blob, NULL);
  wait_for_answer("open");
  return answer.result;
}
static void close_blob(struct spdk_blob* blob) {
  spdk_blob_close(blob, ended, NULL);
  wait_for_answer("close");
}
static void sync_blob(struct spdk_blob* blob) {
  spdk_blob_sync_md(blob, ended, NULL);
  wait_for_answer("sync");
}

/* By its xattr "name". */
static spdk_blob_id find(const char* name) {
  spdk_blob_id id = SPDK_BLOBID_INVALID;
  spdk_bs_iter_first(store, ended_with_blob, NULL);
  for (;;) {
    poll_for_answer();
    if (answer.rc == -ENOENT) break;
    if (answer.rc != 0) fail("iterate", answer.rc);
    struct spdk_blob* blob = answer.result;
    const void* value;
    size_t length;
    if (spdk_blob_get_xattr_value(blob, "name", &value, &length) == 0 && length == strlen(name) &&
        memcmp(value, name, length) == 0) {
      id = spdk_blob_get_id(blob);
    }
    spdk_bs_iter_next(store, blob, ended_with_blob, NULL);
  }
  return id;
}
static spdk_blob_id get(const char* name) {
  spdk_blob_id id = find(name);
  if (id == SPDK_BLOBID_INVALID) fail(name, ENOENT);
  return id;
}
static void set_name(spdk_blob_id id, const char* name) {
  struct spdk_blob* blob = open_blob(id);
  spdk_blob_set_xattr(blob, "name", name, strlen(name));
  sync_blob(blob);
  close_blob(blob);
}

static void xattr_value(void* ctx, const char* name, const void** value, size_t* length) {
  *value = ctx;
  *length = strlen(ctx);
}
static char* name_xattr[] = {"name"};

static struct spdk_blob_xattr_opts named(char* name) {
  struct spdk_blob_xattr_opts xattrs = {0};
  xattrs.names = name_xattr;
  xattrs.count = 1;
  xattrs.ctx = name;
  xattrs.get_value = xattr_value;
  return xattrs;
}

static void transfer(const char* name, uint64_t offset, uint64_t bytes, int value, bool check) {
  struct spdk_blob* blob = open_blob(get(name));
  const uint64_t unit = spdk_bs_get_io_unit_size(store);
  uint8_t* data = spdk_zmalloc(bytes, 4096, NULL, SPDK_ENV_LCORE_ID_ANY, SPDK_MALLOC_DMA);
  if (check) {
    spdk_blob_io_read(blob, channel, data, offset / unit, bytes / unit, ended, NULL);
    wait_for_answer("read");
    for (uint64_t i = 0; i < bytes; i++) {
      if (data[i] != value) {
        fprintf(stderr, "%s: byte %lu is %02x\n", name, offset + i, data[i]);
        fail("expect", EINVAL);
      }
    }
  } else {
    memset(data, value, bytes);
    spdk_blob_io_write(blob, channel, data, offset / unit, bytes / unit, ended, NULL);
    wait_for_answer("write");
  }
  spdk_free(data);
  close_blob(blob);
}

static void expect_blob(const char* name, char kind, uint64_t clusters, const char* parent) {
  spdk_blob_id id = get(name);
  struct spdk_blob* blob = open_blob(id);
  if (spdk_blob_get_num_clusters(blob) != clusters) fail("clusters", EINVAL);
  if (spdk_blob_is_thin_provisioned(blob) != (kind == 't')) fail("thin", EINVAL);
  const spdk_blob_id above = spdk_blob_get_parent_snapshot(store, id);
  if (strcmp(parent, "none") == 0) {
    if (above != SPDK_BLOBID_INVALID || spdk_blob_is_esnap_clone(blob)) fail("parent", EINVAL);
  } else if (strcmp(parent, "external") == 0) {
    if (!spdk_blob_is_esnap_clone(blob)) fail("external parent", EINVAL);
  } else if (above != get(parent)) {
    fail("parent", EINVAL);
  }
  close_blob(blob);
}

static void run_line(char* line) {
  char op[32] = {0}, a[64] = {0}, b[512] = {0}, c[512] = {0}, d[64] = {0};
  if (sscanf(line, "%31s %63s %511s %511s %63s", op, a, b, c, d) < 1 || op[0] == '#') return;
  if (strcmp(op, "init") == 0) {
    struct spdk_bs_opts options = store_options();
    options.cluster_sz = atoi(a);
    options.num_md_pages = atoi(b);
    options.clear_method = BS_CLEAR_WITH_NONE;
    spdk_bs_init(base(), &options, ended_with_store, NULL);
    take_store(op);
  } else if (strcmp(op, "load") == 0) {
    struct spdk_bs_opts options = store_options();
    spdk_bs_load(base(), &options, ended_with_store, NULL);
    take_store(op);
  } else if (strcmp(op, "unload") == 0) {
    spdk_bs_free_io_channel(channel);
    spdk_bs_unload(store, ended, NULL);
    wait_for_answer("unload");
    store = NULL;
  } else if (strcmp(op, "crash") == 0) {
    _exit(0);
  } else if (strcmp(op, "create") == 0) { /* name thick|thin|runs|external clusters */
    struct spdk_blob_opts options;
    spdk_blob_opts_init(&options, sizeof(options));
    options.num_clusters = atoi(c);
    options.thin_provision = strcmp(b, "thin") == 0;
    options.use_extent_table = strcmp(b, "runs") != 0;
    options.xattrs = named(a);
    if (strcmp(b, "external") == 0) {
      options.esnap_id = "parent";
      options.esnap_id_len = strlen("parent");
    }
    spdk_bs_create_blob_ext(store, &options, ended_with_id, NULL);
    wait_for_answer("create");
  } else if (strcmp(op, "write") == 0 || strcmp(op, "expect") == 0) { /* name offset bytes value */
    transfer(a, strtoull(b, NULL, 0), strtoull(c, NULL, 0), strtol(d, NULL, 0), op[0] == 'e');
  } else if (strcmp(op, "unmap") == 0) { /* name offset bytes */
    struct spdk_blob* blob = open_blob(get(a));
    const uint64_t unit = spdk_bs_get_io_unit_size(store);
    spdk_blob_io_unmap(blob, channel, strtoull(b, NULL, 0) / unit, strtoull(c, NULL, 0) / unit, ended, NULL);
    wait_for_answer("unmap");
    close_blob(blob);
  } else if (strcmp(op, "snapshot") == 0) { /* of name */
    const struct spdk_blob_xattr_opts xattrs = named(b);
    spdk_bs_create_snapshot(store, get(a), &xattrs, ended_with_id, NULL);
    wait_for_answer("snapshot");
  } else if (strcmp(op, "clone") == 0) { /* of name */
    const struct spdk_blob_xattr_opts xattrs = named(b);
    spdk_bs_create_clone(store, get(a), &xattrs, ended_with_id, NULL);
    wait_for_answer("clone");
  } else if (strcmp(op, "rename") == 0) { /* name name */
    set_name(get(a), b);
  } else if (strcmp(op, "delete") == 0) {
    spdk_bs_delete_blob(store, get(a), ended, NULL);
    wait_for_answer("delete");
  } else if (strcmp(op, "inflate") == 0) {
    spdk_bs_inflate_blob(store, channel, get(a), ended, NULL);
    wait_for_answer("inflate");
  } else if (strcmp(op, "decouple") == 0) {
    spdk_bs_blob_decouple_parent(store, channel, get(a), ended, NULL);
    wait_for_answer("decouple");
  } else if (strcmp(op, "resize") == 0) { /* name clusters */
    struct spdk_blob* blob = open_blob(get(a));
    spdk_blob_resize(blob, atoi(b), ended, NULL);
    wait_for_answer("resize");
    sync_blob(blob);
    close_blob(blob);
  } else if (strcmp(op, "read_only") == 0) {
    struct spdk_blob* blob = open_blob(get(a));
    spdk_blob_set_read_only(blob);
    sync_blob(blob);
    close_blob(blob);
  } else if (strcmp(op, "xattr") == 0 || strcmp(op, "long_xattr") == 0) { /* name key value | name key length */
    struct spdk_blob* blob = open_blob(get(a));
    char value[4096];
    size_t length = strlen(c);
    memcpy(value, c, length);
    if (op[0] == 'l') memset(value, 'x', length = atoi(c));
    int rc = spdk_blob_set_xattr(blob, b, value, length);
    if (rc != 0) fail("xattr", rc);
    sync_blob(blob);
    close_blob(blob);
  } else if (strcmp(op, "expect_xattr") == 0 || strcmp(op, "expect_long_xattr") == 0) {
    struct spdk_blob* blob = open_blob(get(a));
    const void* value;
    size_t length;
    int rc = spdk_blob_get_xattr_value(blob, b, &value, &length);
    if (rc != 0) fail("xattr", rc);
    if (strcmp(op, "expect_xattr") == 0 ? length != strlen(c) || memcmp(value, c, length) != 0
                                        : length != (size_t)atoi(c)) {
      fail("the value of the xattr", EINVAL);
    }
    close_blob(blob);
  } else if (strcmp(op, "super") == 0) {
    spdk_bs_set_super(store, get(a), ended, NULL);
    wait_for_answer("super");
  } else if (strcmp(op, "expect_super") == 0) {
    spdk_bs_get_super(store, ended_with_id, NULL);
    wait_for_answer("get super");
    if (answer.id != get(a)) fail("super", EINVAL);
  } else if (strcmp(op, "expect_blob") == 0) { /* name thick|thin clusters parent|none|external */
    expect_blob(a, b[1] == 'h' && b[2] == 'i' && b[3] == 'n' ? 't' : 'k', atoi(c), d);
  } else if (strcmp(op, "expect_none") == 0) {
    if (find(a) != SPDK_BLOBID_INVALID) fail("it is there", EEXIST);
  } else if (strcmp(op, "expect_free") == 0) {
    if (spdk_bs_free_cluster_count(store) != strtoull(a, NULL, 0)) {
      fprintf(stderr, "%lu clusters are free\n", spdk_bs_free_cluster_count(store));
      fail("free clusters", EINVAL);
    }
  } else {
    fail(op, ENOSYS);
  }
}

static void run(void* ctx) {
  char line[1024];
  while (fgets(line, sizeof(line), stdin) != NULL) {
    line_number++;
    run_line(line);
  }
  fflush(stdout);
  _exit(0);
}

int main(int argc, char** argv) {
  static char config[4096];
  if (argc < 2) return 2;
  parent_is_there = argc > 2;
  int length = snprintf(config, sizeof(config),
                        "{\"subsystems\":[{\"subsystem\":\"bdev\",\"config\":[{\"method\":\"bdev_aio_create\",\"params\":"
                        "{\"name\":\"base\",\"filename\":\"%s\",\"block_size\":512}}",
                        argv[1]);
  if (parent_is_there) {
    length += snprintf(config + length, sizeof(config) - length,
                       ",{\"method\":\"bdev_aio_create\",\"params\":{\"name\":\"parent\",\"filename\":\"%s\","
                       "\"block_size\":512}}",
                       argv[2]);
  }
  length += snprintf(config + length, sizeof(config) - length, "]}]}");
  struct spdk_app_opts options;
  spdk_app_opts_init(&options, sizeof(options));
  options.name = "spdk_side";
  options.no_huge = true;
  options.no_pci = true;
  options.mem_size = 512;
  options.iova_mode = "va";
  options.rpc_addr = NULL;
  options.disable_cpumask_locks = true;
  options.json_data = config;
  options.json_data_size = length;
  options.print_level = SPDK_LOG_ERROR;
  return spdk_app_start(&options, run, NULL) == 0 ? 0 : 1;
}
