"""Our initiator over iommufd and the device's own file, which needs a kernel (6.6 or newer) with CONFIG_IOMMUFD and
CONFIG_VFIO_DEVICE_CDEV, and none of Debian's has them: only tests where SPDKIO_VM_KERNEL names such a kernel."""

from local_nvme import LocalNvme, guest as nvme_guest

MIB = 1 << 20
BLOCKS_512 = ",logical_block_size=512,physical_block_size=512"


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
