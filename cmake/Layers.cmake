# The one layer table. A layer may include itself and what its line names, nothing else; tests/tidy compares this table
# with every include under include/, src/ and tools/.
#
#   base <- {spec, runtime} <- engine <- {bdev, nvme, rpc} <- {bdev_modules, blob, nvmf} <- lvol <- engine_* <- app <- tools
#
# `adapters` stands on the runtime beside `engine`: other event loops. No component stands on it.
# `testing` is the installed test kit: it stands on the services and no component stands on it.

# Folders of src/ which make up the library, in layer order. engine_spdk is a plug-in of its own and not listed here.
set(SPDKIO_COMPONENTS
  base spec runtime adapters engine bdev nvme rpc bdev_modules blob nvmf lvol engine_embedded engine_sim app testing)

set(SPDKIO_LAYERS ${SPDKIO_COMPONENTS} engine_spdk tools)

set(_spdkio_seam base spec runtime engine)
set(_spdkio_services ${_spdkio_seam} bdev nvme rpc)
set(_spdkio_stores ${_spdkio_services} bdev_modules blob nvmf lvol)

set(SPDKIO_LAYER_base)
set(SPDKIO_LAYER_spec base)
set(SPDKIO_LAYER_runtime base)
set(SPDKIO_LAYER_adapters base runtime)
set(SPDKIO_LAYER_engine base spec runtime)
set(SPDKIO_LAYER_bdev ${_spdkio_seam})
set(SPDKIO_LAYER_nvme ${_spdkio_seam})
set(SPDKIO_LAYER_rpc ${_spdkio_seam})
set(SPDKIO_LAYER_bdev_modules ${_spdkio_services})
set(SPDKIO_LAYER_blob ${_spdkio_services})
set(SPDKIO_LAYER_nvmf ${_spdkio_services})
# Block devices made of blobs: a bdev module, but one that stands on `blob`, which its siblings may not.
set(SPDKIO_LAYER_lvol ${_spdkio_services} blob)
set(SPDKIO_LAYER_engine_embedded ${_spdkio_stores})
set(SPDKIO_LAYER_engine_sim ${_spdkio_stores})
# The reactors that poll our Threads are the same on both engines.
set(SPDKIO_LAYER_engine_spdk ${_spdkio_stores} engine_embedded)
set(SPDKIO_LAYER_app ${_spdkio_stores} engine_embedded engine_sim)
set(SPDKIO_LAYER_testing ${_spdkio_services})
set(SPDKIO_LAYER_tools ${_spdkio_stores} app)
