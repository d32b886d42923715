"""Our initiator over VFIO's no-IOMMU mode, on the guests' kernel with modules that have it."""

from local_nvme import LocalNvme, guest as nvme_guest

MIB = 1 << 20
BLOCKS_512 = ",logical_block_size=512,physical_block_size=512"
BLOCKS_4096 = ",logical_block_size=4096,physical_block_size=4096"


def _guest(vm):
    return nvme_guest(vm, [(64 * MIB, BLOCKS_512), (64 * MIB, BLOCKS_4096)], iommu=False, archives=[vm.vfio_modules()])


def _allow(guest):
    guest.run("modprobe vfio; echo Y >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode")


def case_verify(vm):
    """Without an IOMMU the device gets physical addresses, which hugepages have and ordinary pages have not."""
    with _guest(vm) as guest:
        _allow(guest)
        nvme = LocalNvme(guest)
        guest.run("ls /dev/vfio/noiommu-*")
        output = guest.run(nvme.command("verify", "--no-huge") + " 2>&1", check=False)
        assert guest.status != 0 and "hugepages" in output, output
        guest.run("echo 64 >/proc/sys/vm/nr_hugepages")
        output = nvme.run("verify")
        assert "verified nsid=1" in output and "verified nsid=2" in output, output
        nvme.run("verify", "--poll-mode interrupt")


def case_removed_under_load(vm):
    with _guest(vm) as guest:
        _allow(guest)
        guest.run("echo 64 >/proc/sys/vm/nr_hugepages")
        LocalNvme(guest).removed_under_load()


def case_not_allowed(vm):
    """Until an administrator allows it the driver does not take the device, and the error says how to."""
    with _guest(vm) as guest:
        nvme = LocalNvme(guest, bound=False)
        guest.run("echo 64 >/proc/sys/vm/nr_hugepages")
        output = guest.run(nvme.command("identify") + " 2>&1", check=False)
        assert guest.status == 1, output
        assert "no kernel driver has it" in output and "enable_unsafe_noiommu_mode" in output, output
