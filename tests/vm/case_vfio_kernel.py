"""Our initiator over VFIO in the ways that need a kernel with CONFIG_VFIO_NOIOMMU, CONFIG_IOMMUFD and
CONFIG_VFIO_DEVICE_CDEV, which none of Debian's has: only tests where SPDKIO_VM_KERNEL names such a kernel."""

import re

from local_nvme import LocalNvme, devices, program_archive

MIB = 1 << 20
BLOCKS_512 = ",logical_block_size=512,physical_block_size=512"


def _guest(vm, *, iommu):
    folder = vm.folder / "disks"
    folder.mkdir(exist_ok=True)
    return vm.guest(devices=devices(folder, [(64 * MIB, BLOCKS_512)], iommu=iommu), memory_mb=1024,
                    kernel_options="intel_iommu=on" if iommu else "", archives=[program_archive(vm.exercise)])


def _removed_under_load(guest, nvme, job):
    load = nvme.start("load", "--no-reconnect", 300)
    guest.wait_for(f"grep -q progress /jobs/{job}.output", "the load has begun")
    guest.qmp("device_del", id="nvme0")
    output = load.wait(120, check=False)
    assert load.status == 3, (load.status, output)
    assert re.search(r"error: .*", output) and "detached" in output, output


def case_no_iommu(vm):
    """Without an IOMMU the device gets physical addresses, which hugepages have and ordinary pages have not."""
    with _guest(vm, iommu=False) as guest:
        guest.run("echo Y >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode")
        nvme = LocalNvme(guest)
        guest.run("ls /dev/vfio/noiommu-*")
        output = guest.run(nvme.command("verify", "--no-huge") + " 2>&1 || true")
        assert "hugepages" in output, output
        guest.run("echo 64 >/proc/sys/vm/nr_hugepages")
        nvme.run("verify")
        nvme.run("verify", "--poll-mode interrupt")
        _removed_under_load(guest, nvme, 1)


def case_iommufd(vm):
    """The device by its own file, no group."""
    with _guest(vm, iommu=True) as guest:
        nvme = LocalNvme(guest)
        guest.run("test -c /dev/iommu; ls /dev/vfio/devices/vfio*; rm /dev/vfio/vfio")
        nvme.run("verify", "--no-huge")
        guest.run("echo 32 >/proc/sys/vm/nr_hugepages")
        nvme.run("verify")
        nvme.run("verify", "--poll-mode interrupt")
        _removed_under_load(guest, nvme, 1)
