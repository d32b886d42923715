"""Our initiator over VFIO on QEMU's NVMe device."""

from local_nvme import LocalNvme, guest as nvme_guest

MIB = 1 << 20
BLOCKS_512 = ",logical_block_size=512,physical_block_size=512"
BLOCKS_4096 = ",logical_block_size=4096,physical_block_size=4096"


def case_two_namespaces(vm):
    with nvme_guest(vm, [(64 * MIB, BLOCKS_512), (64 * MIB, BLOCKS_4096)]) as guest:
        nvme = LocalNvme(guest)
        facts = nvme.run("identify")
        assert "serial=QEMU0001" in facts, facts
        assert f"nsid=1 blocks={64 * 2048} block_size=512 metadata=0" in facts, facts
        assert f"nsid=2 blocks={64 * 256} block_size=4096 metadata=0" in facts, facts
        output = nvme.run("verify")
        assert "verified nsid=1" in output and "verified nsid=2" in output, output
        # Another time, with whatever state the first left behind; and in memory of ordinary and of huge pages.
        nvme.run("verify", "--no-huge")
        guest.run("echo 32 >/proc/sys/vm/nr_hugepages")
        nvme.run("verify")


def case_separate_metadata(vm):
    with nvme_guest(vm, [(64 * MIB, BLOCKS_512 + ",ms=8,mset=0"), (64 * MIB, BLOCKS_4096 + ",ms=16,mset=0")]) as guest:
        nvme = LocalNvme(guest)
        facts = nvme.run("identify")
        assert "block_size=512 metadata=8 interleaved=0" in facts, facts
        assert "block_size=4096 metadata=16 interleaved=0" in facts, facts
        output = nvme.run("verify")
        assert "verified nsid=1" in output and "verified nsid=2" in output, output


def case_interleaved_metadata(vm):
    with nvme_guest(vm, [(64 * MIB, BLOCKS_512 + ",ms=8,mset=1"), (64 * MIB, BLOCKS_4096 + ",ms=16,mset=1")]) as guest:
        nvme = LocalNvme(guest)
        facts = nvme.run("identify")
        assert "block_size=512 metadata=8 interleaved=1" in facts, facts
        assert "block_size=4096 metadata=16 interleaved=1" in facts, facts
        # QEMU 7.2 drops the metadata behind the 31st block of a command, also when the kernel's driver is the host.
        output = nvme.run("verify", "--max-blocks 16")
        assert "verified nsid=1" in output and "verified nsid=2" in output, output


def case_interrupts(vm):
    with nvme_guest(vm, [(64 * MIB, BLOCKS_512)]) as guest:
        nvme = LocalNvme(guest)
        nvme.run("verify", "--poll-mode interrupt")
        load = nvme.start("load", "--poll-mode interrupt", 8)
        guest.wait_for(f"grep -q progress /jobs/1.output", "the load has begun")
        first = nvme.interrupts()
        io_vectors = [vector for vector in first if not vector.startswith("vfio-msix[0]")]
        assert io_vectors, first
        guest.run("sleep 1")
        second = nvme.interrupts()
        assert sum(second.values()) > sum(first.values()), (first, second)
        assert "done" in load.wait(120)
        # Reactors that never sleep are not disturbed.
        load = nvme.start("load", "--poll-mode busy", 5)
        guest.wait_for(f"grep -q progress /jobs/2.output", "the load has begun")
        assert nvme.interrupts() == {}, nvme.interrupts()
        load.wait(120)


def case_removed_under_load(vm):
    with nvme_guest(vm, [(64 * MIB, BLOCKS_512)]) as guest:
        LocalNvme(guest).removed_under_load()


def case_killed_and_started_again(vm):
    with nvme_guest(vm, [(64 * MIB, BLOCKS_512)]) as guest:
        nvme = LocalNvme(guest)
        for number in (1, 2):
            load = nvme.start("load", "", 300)
            guest.wait_for(f"grep -q progress /jobs/{number}.output", "the load has begun")
            load.kill()
            nvme.run("verify")


def case_not_bound(vm):
    """What stands in the way is said in words, with what to do."""
    with nvme_guest(vm, [(64 * MIB, BLOCKS_512)]) as guest:
        guest.run("modprobe nvme")
        guest.wait_for("test -b /dev/nvme0n1")
        address = guest.run("basename $(readlink -f /sys/class/nvme/nvme0/device)").strip()
        output = guest.run(f"nvme_exercise identify 'trtype:PCIe traddr:{address}' 2>&1", check=False)
        assert guest.status == 1, output
        assert "'nvme' has it" in output and "driver_override" in output, output
        output = guest.run("nvme_exercise identify 'trtype:PCIe traddr:0000:7f:1f.7' 2>&1", check=False)
        assert guest.status == 1 and "no PCI function 0000:7f:1f.7" in output, output
