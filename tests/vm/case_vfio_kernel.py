"""Our initiator over VFIO in the ways that need a kernel with CONFIG_VFIO_NOIOMMU, CONFIG_IOMMUFD and
CONFIG_VFIO_DEVICE_CDEV, which none of Debian's has: only tests where SPDKIO_VM_KERNEL names such a kernel."""

from local_nvme import LocalNvme, guest as nvme_guest

MIB = 1 << 20
BLOCKS_512 = ",logical_block_size=512,physical_block_size=512"


def case_no_iommu(vm):
    """Without an IOMMU the device gets physical addresses, which hugepages have and ordinary pages have not."""
    with nvme_guest(vm, [(64 * MIB, BLOCKS_512)], iommu=False) as guest:
        guest.run("echo Y >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode")
        nvme = LocalNvme(guest)
        guest.run("ls /dev/vfio/noiommu-*")
        output = guest.run(nvme.command("verify", "--no-huge") + " 2>&1 || true")
        assert "hugepages" in output, output
        guest.run("echo 64 >/proc/sys/vm/nr_hugepages")
        nvme.run("verify")
        nvme.run("verify", "--poll-mode interrupt")
        nvme.removed_under_load()


def case_iommufd(vm):
    """The device by its own file, no group."""
    with nvme_guest(vm, [(64 * MIB, BLOCKS_512)], iommu=True) as guest:
        nvme = LocalNvme(guest)
        guest.run("test -c /dev/iommu; ls /dev/vfio/devices/vfio*; rm /dev/vfio/vfio")
        nvme.run("verify", "--no-huge")
        guest.run("echo 32 >/proc/sys/vm/nr_hugepages")
        nvme.run("verify")
        nvme.run("verify", "--poll-mode interrupt")
        nvme.removed_under_load()
