// The bdev_lvol_* methods.
#include <spdkio/bdev/service.hpp>
#include <spdkio/rpc/error.hpp>
#include <spdkio/rpc/method_table.hpp>

#include <nlohmann/json.hpp>

#include <string>
#include <utility>

#include "lvol/lvol_stores.hpp"

namespace spdkio::lvol {
namespace {

using rpc::Params;

blob::ClearMethod clear_method(const std::string& text) {
  if (text.empty()) return blob::ClearMethod::by_default;
  if (text == "none") return blob::ClearMethod::none;
  if (text == "unmap") return blob::ClearMethod::unmap;
  if (text == "write_zeroes") return blob::ClearMethod::write_zeroes;
  throw rpc::RpcError::invalid_params("clear_method must be none, unmap or write_zeroes");
}

std::uint64_t bytes_of_mib(std::uint64_t mib) {
  if (mib > UINT64_MAX >> 20) throw rpc::RpcError::invalid_params("size_in_mib is too large");
  return mib << 20;
}

/// A store by its UUID or its name, one of which must be given.
struct StoreChoice {
  std::string uuid;
  std::string lvs_name;
  void fields(Params& p) { declare(p, "uuid"); }
  void declare(Params& p, const char* uuid_field) {
    p.optional(uuid_field, &uuid, "UUID of the lvol store").optional("lvs_name", &lvs_name, "Name of the lvol store");
  }
  bool given() const { return !uuid.empty() || !lvs_name.empty(); }
  std::shared_ptr<LvolStore> find(LvolStores& stores) const {
    if (uuid.empty() == lvs_name.empty()) throw rpc::RpcError::invalid_params("give either a UUID or a lvs_name");
    return uuid.empty() ? stores.find_by_name(lvs_name) : stores.find_by_uuid(uuid);
  }
};

struct CreateStore {
  std::string bdev_name, lvs_name, clear;
  std::uint32_t cluster_sz = 4 << 20;
  std::uint32_t ratio = 100;
  std::uint32_t md_page_size = 0;
  void fields(Params& p) {
    p.required("bdev_name", &bdev_name, "Bdev that the store is made on; what it holds is lost")
        .required("lvs_name", &lvs_name, "Name of the store")
        .optional("cluster_sz", &cluster_sz, "Bytes that space is handed out in")
        .optional("clear_method", &clear, "none, unmap or write_zeroes: what is done with the rest of the bdev")
        .optional("num_md_pages_per_cluster_ratio", &ratio, "Metadata pages for 100 clusters")
        .optional("md_page_size", &md_page_size,
                  "Bytes of a metadata page, at least what the bdev needs: a power of two from 4096 to 65536");
  }
};
struct RenameStore {
  std::string old_name, new_name;
  void fields(Params& p) {
    p.required("old_name", &old_name, "Present name of the store").required("new_name", &new_name, "New name");
  }
};
struct CreateLvol {
  StoreChoice store;
  std::string lvol_name, clear;
  std::uint64_t size_in_mib = 0;
  bool thin_provision = false;
  void fields(Params& p) {
    store.fields(p);
    p.required("lvol_name", &lvol_name, "Name of the volume")
        .required("size_in_mib", &size_in_mib, "Size in MiB, rounded up to whole clusters")
        .optional("thin_provision", &thin_provision, "Take space when it is first written")
        .optional("clear_method", &clear, "none, unmap or write_zeroes: what is done with space that it gives back");
  }
};
struct Snapshot {
  std::string lvol_name, snapshot_name;
  void fields(Params& p) {
    p.required("lvol_name", &lvol_name, "Volume that the snapshot is taken of")
        .required("snapshot_name", &snapshot_name, "Name of the snapshot");
  }
};
struct Clone {
  std::string snapshot_name, clone_name;
  void fields(Params& p) {
    p.required("snapshot_name", &snapshot_name, "Snapshot that is cloned")
        .required("clone_name", &clone_name, "Name of the clone");
  }
};
struct CloneBdev {
  std::string bdev, lvs_name, clone_name;
  void fields(Params& p) {
    p.required("bdev", &bdev, "Bdev that the volume starts from; it must not change any more")
        .required("lvs_name", &lvs_name, "Store that gets the volume")
        .required("clone_name", &clone_name, "Name of the volume");
  }
};
struct RenameLvol {
  std::string old_name, new_name;
  void fields(Params& p) {
    p.required("old_name", &old_name, "UUID or alias of the volume").required("new_name", &new_name, "New name");
  }
};
struct NamedLvol {
  std::string name;
  void fields(Params& p) { p.required("name", &name, "UUID or alias (store/volume) of the volume"); }
};
struct Resize {
  std::string name;
  std::uint64_t size_in_mib = 0;
  void fields(Params& p) {
    p.required("name", &name, "UUID or alias of the volume")
        .required("size_in_mib", &size_in_mib, "New size in MiB, rounded up to whole clusters");
  }
};
struct SetParent {
  std::string lvol_name, parent_name;
  void fields(Params& p) {
    p.required("lvol_name", &lvol_name, "UUID or alias of the volume, which must be thin")
        .required("parent_name", &parent_name, "What it starts from now");
  }
};
struct StartShallowCopy {
  std::string src_lvol_name, dst_bdev_name;
  void fields(Params& p) {
    p.required("src_lvol_name", &src_lvol_name, "UUID or alias of the volume, which must be read-only")
        .required("dst_bdev_name", &dst_bdev_name, "Bdev that gets what the volume has allocated itself");
  }
};
struct CheckShallowCopy {
  std::uint32_t operation_id = 0;
  void fields(Params& p) { p.required("operation_id", &operation_id, "From bdev_lvol_start_shallow_copy"); }
};
struct ListLvols {
  StoreChoice store;
  void fields(Params& p) { store.declare(p, "lvs_uuid"); }
};

Json describe(const LvolStore& store) {
  Json out = Json::object();
  out["uuid"] = store.uuid().to_string();
  out["name"] = store.name();
  out["base_bdev"] = store.blobs().bdev_name();
  out["total_data_clusters"] = store.blobs().total_clusters();
  out["free_clusters"] = store.blobs().free_clusters();
  out["block_size"] = store.blobs().block_size();
  out["cluster_size"] = store.blobs().cluster_size();
  out["max_growable_size"] = store.max_growable_bytes();
  return out;
}

Json describe(const LvolStore& store, const Lvol& lvol) {
  const blob::BlobInfo info = store.blobs().info(lvol.id);
  Json out = Json::object();
  out["alias"] = store.name() + "/" + lvol.name;
  out["uuid"] = lvol.uuid.to_string();
  out["name"] = lvol.name;
  out["is_thin_provisioned"] = info.thin;
  out["is_snapshot"] = info.read_only || !info.clones.empty();
  out["is_clone"] = info.parent.valid();
  out["is_esnap_clone"] = !info.external_snapshot.empty();
  out["is_degraded"] = !lvol.registered;
  out["num_allocated_clusters"] = info.allocated_clusters;
  out["lvs"] = {{"name", store.name()}, {"uuid", store.uuid().to_string()}};
  return out;
}

std::vector<std::shared_ptr<LvolStore>> chosen(LvolStores& stores, const StoreChoice& choice) {
  if (!choice.given()) return stores.all();
  return {choice.find(stores)};
}

Task<Json> uuid_of(Task<Uuid> making) {
  const Uuid uuid = co_await std::move(making);
  co_return Json(uuid.to_string());
}
Task<Json> done(Task<> doing) {
  co_await std::move(doing);
  co_return Json(true);
}

Task<Json> create_store(LvolStores& stores, CreateStore params) {
  LvolStore::Options options{.name = params.lvs_name,
                             .cluster_size = params.cluster_sz,
                             .metadata_pages_per_100_clusters = params.ratio,
                             .md_page_size = params.md_page_size,
                             .clear_method = clear_method(params.clear)};
  auto creating = stores.create(params.bdev_name, std::move(options));
  const auto store = co_await std::move(creating);
  co_return Json(store->uuid().to_string());
}

Task<Json> list_stores(LvolStores& stores, StoreChoice choice) {
  Json out = Json::array();
  for (const auto& store : chosen(stores, choice)) out.push_back(describe(*store));
  co_return out;
}

Task<Json> list_lvols(LvolStores& stores, ListLvols params) {
  Json out = Json::array();
  for (const auto& store : chosen(stores, params.store)) {
    for (const auto& [id, lvol] : store->lvols()) out.push_back(describe(*store, lvol));
  }
  co_return out;
}

/// Keeps the store for the whole call.
template <class Call>
Task<Json> on_lvol(LvolStores& stores, std::string name, Call call) {
  const auto [store, id] = stores.find_lvol(name);
  auto running = call(*store, id);
  co_return co_await std::move(running);
}

Task<Json> create_lvol(LvolStores& stores, CreateLvol params) {
  const auto store = params.store.find(stores);
  const blob::ClearMethod clear = clear_method(params.clear);
  auto creating =
      uuid_of(store->create_lvol(params.lvol_name, bytes_of_mib(params.size_in_mib), params.thin_provision, clear));
  co_return co_await std::move(creating);
}

Task<Json> clone_bdev(LvolStores& stores, CloneBdev params) {
  const auto store = stores.find_by_name(params.lvs_name);
  auto device = bdev::Service::current().find(params.bdev);
  if (device == nullptr) throw Error(std::errc::no_such_device, "there is no such bdev").with_device(params.bdev);
  auto creating = uuid_of(store->clone_bdev(std::move(device), params.clone_name));
  co_return co_await std::move(creating);
}

Task<Json> delete_store(LvolStores& stores, StoreChoice choice) {
  auto removing = done(stores.remove(choice.find(stores)));
  co_return co_await std::move(removing);
}

Task<Json> grow_store(LvolStores& stores, StoreChoice choice) {
  const auto store = choice.find(stores);
  auto growing = done(store->grow());
  co_return co_await std::move(growing);
}

Task<Json> set_parent(LvolStores& stores, SetParent params) {
  const auto [store, id] = stores.find_lvol(params.lvol_name);
  const auto [parent_store, parent] = stores.find_lvol(params.parent_name);
  if (store != parent_store) throw rpc::RpcError::invalid_params("the two volumes are in different stores");
  auto setting = done(store->set_parent(id, parent));
  co_return co_await std::move(setting);
}

Task<Json> set_parent_bdev(LvolStores& stores, SetParent params) {
  const auto [store, id] = stores.find_lvol(params.lvol_name);
  auto device = bdev::Service::current().find(params.parent_name);
  if (device == nullptr) {
    throw Error(std::errc::no_such_device, "there is no such bdev").with_device(params.parent_name);
  }
  auto setting = done(store->set_parent_bdev(id, std::move(device)));
  co_return co_await std::move(setting);
}

Task<Json> start_shallow_copy(LvolStores& stores, StartShallowCopy params) {
  Json out = Json::object();
  out["operation_id"] = stores.start_shallow_copy(params.src_lvol_name, params.dst_bdev_name);
  co_return out;
}

Task<Json> check_shallow_copy(LvolStores& stores, CheckShallowCopy params) {
  const LvolStores::ShallowCopy copy = stores.check_shallow_copy(params.operation_id);
  Json out = Json::object();
  out["copied_clusters"] = copy.progress.done;
  out["total_clusters"] = copy.progress.total;
  out["state"] = !copy.ended ? "in progress" : copy.failure ? "error" : "complete";
  if (copy.failure) out["error"] = copy.failure->what();
  co_return out;
}

void register_store_methods(rpc::MethodTable& table, LvolStores& stores) {
  table.add<CreateStore>("bdev_lvol_create_lvstore", "Make a store of logical volumes on a bdev",
                         [&stores](CreateStore params) { return create_store(stores, std::move(params)); });
  table.add<RenameStore>("bdev_lvol_rename_lvstore", "Give a store of logical volumes another name",
                         [&stores](const RenameStore& params) {
                           return done(stores.rename(stores.find_by_name(params.old_name), params.new_name));
                         });
  table.add<StoreChoice>("bdev_lvol_delete_lvstore", "Delete a store with all of its volumes",
                         [&stores](StoreChoice params) { return delete_store(stores, std::move(params)); });
  table.add<StoreChoice>("bdev_lvol_grow_lvstore", "Let a store take what its bdev has grown by",
                         [&stores](StoreChoice params) { return grow_store(stores, std::move(params)); });
  table.add<StoreChoice>("bdev_lvol_get_lvstores", "List the stores of logical volumes",
                         [&stores](StoreChoice params) { return list_stores(stores, std::move(params)); });
  table.add<ListLvols>("bdev_lvol_get_lvols", "List the logical volumes, also those without a bdev",
                       [&stores](ListLvols params) { return list_lvols(stores, std::move(params)); });
}

}  // namespace

void register_methods(rpc::MethodTable& table, LvolStores& stores) {
  register_store_methods(table, stores);
  table.add<CreateLvol>("bdev_lvol_create", "Make a logical volume",
                        [&stores](CreateLvol params) { return create_lvol(stores, std::move(params)); });
  table.add<Snapshot>("bdev_lvol_snapshot", "Take a snapshot of a logical volume", [&stores](const Snapshot& params) {
    return on_lvol(stores, params.lvol_name, [name = params.snapshot_name](LvolStore& store, blob::BlobId id) {
      return uuid_of(store.snapshot(id, name));
    });
  });
  table.add<Clone>(
      "bdev_lvol_clone", "Make a logical volume that starts as a snapshot is", [&stores](const Clone& params) {
        return on_lvol(stores, params.snapshot_name, [name = params.clone_name](LvolStore& store, blob::BlobId id) {
          return uuid_of(store.clone(id, name));
        });
      });
  table.add<CloneBdev>("bdev_lvol_clone_bdev", "Make a logical volume that starts as another bdev is",
                       [&stores](CloneBdev params) { return clone_bdev(stores, std::move(params)); });
  table.add<RenameLvol>("bdev_lvol_rename", "Give a logical volume another name", [&stores](const RenameLvol& params) {
    return on_lvol(stores, params.old_name, [name = params.new_name](LvolStore& store, blob::BlobId id) {
      return done(store.rename_lvol(id, name));
    });
  });
  table.add<NamedLvol>(
      "bdev_lvol_inflate", "Give a logical volume clusters for everything", [&stores](const NamedLvol& p) {
        return on_lvol(stores, p.name,
                       [](LvolStore& store, blob::BlobId id) { return done(store.inflate(id, false)); });
      });
  table.add<NamedLvol>(
      "bdev_lvol_decouple_parent", "Copy what a logical volume shares with its parent", [&stores](const NamedLvol& p) {
        return on_lvol(stores, p.name, [](LvolStore& store, blob::BlobId id) { return done(store.inflate(id, true)); });
      });
  table.add<Resize>("bdev_lvol_resize", "Change the size of a logical volume", [&stores](const Resize& params) {
    return on_lvol(stores, params.name, [mib = params.size_in_mib](LvolStore& store, blob::BlobId id) {
      return done(store.resize(id, bytes_of_mib(mib)));
    });
  });
  table.add<NamedLvol>(
      "bdev_lvol_set_read_only", "Nobody may write a logical volume any more", [&stores](const NamedLvol& p) {
        return on_lvol(stores, p.name, [](LvolStore& store, blob::BlobId id) { return done(store.set_read_only(id)); });
      });
  table.add<SetParent>("bdev_lvol_set_parent", "Let a thin logical volume start from another snapshot",
                       [&stores](SetParent params) { return set_parent(stores, std::move(params)); });
  table.add<SetParent>("bdev_lvol_set_parent_bdev", "Let a thin logical volume start from another bdev",
                       [&stores](SetParent params) { return set_parent_bdev(stores, std::move(params)); });
  table.add<StartShallowCopy>(
      "bdev_lvol_start_shallow_copy", "Copy what a logical volume has allocated itself to a bdev",
      [&stores](StartShallowCopy params) { return start_shallow_copy(stores, std::move(params)); });
  table.add<CheckShallowCopy>("bdev_lvol_check_shallow_copy", "How far a shallow copy is",
                              [&stores](const CheckShallowCopy& params) { return check_shallow_copy(stores, params); });
  table.add<NamedLvol>("bdev_lvol_delete", "Delete a logical volume", [&stores](const NamedLvol& p) {
    return on_lvol(stores, p.name, [](LvolStore& store, blob::BlobId id) { return done(store.remove(id)); });
  });
}

}  // namespace spdkio::lvol
