"""The kernel's NVMe/TCP host in a guest against our target on the machine."""

import os

import kernel_host
from guest import CommandFailed
from our_target import ADDRESS, DISCOVERY_NQN, NQN, OurTarget

MIB = 1 << 20


def case_discover_and_identify(vm):
    with OurTarget(vm, ["malloc:64MiB", "malloc:16MiB,block_size=4096"]) as target, vm.guest() as guest:
        found = kernel_host.discover(guest, ADDRESS, target.port)
        served = [record for record in found if record["subnqn"] == NQN]
        assert len(served) == 1, found
        assert served[0]["trtype"] == "tcp" and served[0]["trsvcid"].strip() == str(target.port), served

        disk = kernel_host.connect(guest, ADDRESS, target.port, NQN)
        assert disk.state() == "live"
        identity = guest.json(f"nvme id-ctrl {disk.device} -o json")
        assert identity["subnqn"] == NQN and identity["sn"].strip() == "SPDKIO0000000001", identity
        assert identity["cntrltype"] == 1 and identity["nn"] >= 2, identity
        disk.block_device(1)
        disk.block_device(2)
        assert disk.namespaces() == [1, 2]
        first = guest.json(f"nvme id-ns {disk.device} -n 1 -o json")
        second = guest.json(f"nvme id-ns {disk.device} -n 2 -o json")
        assert first["nsze"] == 64 * 2048 and second["nsze"] == 16 * 256, (first["nsze"], second["nsze"])
        assert second["lbafs"][second["flbas"] & 15]["ds"] == 12
        listed = guest.json(f"nvme list-ns {disk.device} -o json")
        assert [entry["nsid"] for entry in listed["nsid_list"]] == [1, 2], listed
        guest.run(f"nvme ns-descs {disk.device} -n 1")
        assert disk.blocks(1) == 64 * 2048 and disk.blocks(2) == 16 * 2048

        # Log pages, features and what the kernel asks for on its way.
        guest.run(f"nvme smart-log {disk.device}")
        guest.run(f"nvme error-log {disk.device}")
        guest.run(f"nvme fw-log {disk.device}")
        guest.run(f"nvme effects-log {disk.device}")
        guest.run(f"nvme get-feature {disk.device} -f 0x0b")
        guest.run(f"nvme get-feature {disk.device} -f 7")
        for offset in ["0x0", "0x8", "0x14", "0x1c"]:
            guest.run(f"nvme get-property {disk.device} --offset={offset}")
        # Goes through all properties, and on past those that a Fabrics controller does not have.
        shown = guest.run(f"nvme show-regs {disk.device}")
        assert "cap" in shown and "csts" in shown, shown
        disk.disconnect()
        target.stop()


def _connect_and_verify(vm, options):
    with OurTarget(vm, ["malloc:64MiB", "malloc:32MiB,block_size=4096"]) as target, vm.guest() as guest:
        disk = kernel_host.connect(guest, ADDRESS, target.port, NQN, options)
        for block_size, size in [("512", "128k"), ("4k", "2m"), ("64k", "8m"), ("1m", "16m")]:
            kernel_host.fio_verify(guest, disk.block_device(1), block_size, size=size)
        kernel_host.fio_verify(guest, disk.block_device(2), "4k", size="2m")
        kernel_host.fio_verify(guest, disk.block_device(2), "36k", size="4m", mode="write")
        disk.disconnect()
        target.stop()


def case_verified_io(vm):
    _connect_and_verify(vm, "")


def case_verified_io_with_digests(vm):
    _connect_and_verify(vm, "--hdr-digest --data-digest")


def case_file_system(vm):
    with OurTarget(vm, ["malloc:64MiB"]) as target, vm.guest() as guest:
        disk = kernel_host.connect(guest, ADDRESS, target.port, NQN, "--data-digest")
        device = disk.block_device(1)
        kernel_host.use_file_system(guest, device)
        # What was discarded and zeroed reads as zeroes; the rest is untouched.
        guest.run(f"""
            dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null
            dd if=/tmp/data of={device} bs=1M oflag=direct 2>/dev/null
            blkdiscard -o 1048576 -l 1048576 {device}
            nvme write-zeroes {device} -n 1 -s 6144 -c 127
            echo 3 >/proc/sys/vm/drop_caches
            dd if={device} of=/tmp/back bs=1M count=4 iflag=direct 2>/dev/null
            cmp -n 1048576 /tmp/data /tmp/back
            dd if=/tmp/back bs=1M skip=1 count=1 2>/dev/null | cmp -n 1048576 - /dev/zero
            dd if=/tmp/back bs=1M skip=2 count=1 2>/dev/null >/tmp/third
            dd if=/tmp/data bs=1M skip=2 count=1 2>/dev/null | cmp - /tmp/third
            dd if=/tmp/back bs=1M skip=3 count=1 2>/dev/null | cmp -n 65536 - /dev/zero
        """)
        disk.disconnect()


def case_reset(vm):
    with OurTarget(vm, ["malloc:64MiB"]) as target, vm.guest() as guest:
        disk = kernel_host.connect(guest, ADDRESS, target.port, NQN)
        device = disk.block_device(1)
        load = guest.start(kernel_host.fio_script(device, "4k", size="4m", more="--loops=4"))
        for _ in range(3):
            guest.run("sleep 0.5")
            guest.run(f"nvme reset {disk.device}", timeout=90)
            guest.wait_for(f"[ $(cat {disk.sysfs}/state) = live ]", "the controller is live again")
        kernel_host.check_fio(load.wait(300))
        disk.disconnect()


def case_namespaces_change_live(vm):
    with OurTarget(vm, ["malloc:64MiB"]) as target, vm.guest() as guest:
        disk = kernel_host.connect(guest, ADDRESS, target.port, NQN)
        disk.block_device(1)
        target.call("bdev_null_create", name="Second", num_blocks=8192, block_size=512)
        nsid = target.call("nvmf_subsystem_add_ns", nqn=NQN, namespace={"bdev_name": "Second"})
        assert nsid == 2, nsid
        device = disk.block_device(2)
        assert disk.blocks(2) == 8192

        target.call("bdev_null_resize", name="Second", new_size=8)
        guest.wait_for(f"[ $(cat /sys/block/{device.removeprefix('/dev/')}/size) = 16384 ]", "the new size is seen")

        target.call("nvmf_subsystem_remove_ns", nqn=NQN, nsid=2)
        guest.wait_for(f"! test -e {device}", "the namespace is gone")
        assert disk.namespaces() == [1]
        disk.disconnect()


def case_killed_under_load_and_started_again(vm):
    image = vm.folder / "disk.img"
    with open(image, "wb") as file:
        os.truncate(file.fileno(), 64 << 20)
    # A host that comes back looks whether the namespace is still the same one.
    with OurTarget(vm, [f"file:{image},uuid=6b2ab9a0-5dfb-4d62-9c3f-2f0b0f2a5d11"]) as target, vm.guest() as guest:
        disk = kernel_host.connect(guest, ADDRESS, target.port, NQN, "--reconnect-delay=1 --ctrl-loss-tmo=120 -k 2")
        device = disk.block_device(1)
        load = guest.start(kernel_host.fio_script(device, "4k", size="8m", more="--loops=4"))
        target.wait_until(lambda: target.call("bdev_get_iostat")["bdevs"][0]["bytes_written"] > MIB, "a megabyte was written")
        target.kill()
        guest.wait_for(f"[ $(cat {disk.sysfs}/state) = connecting ]", "the host has noticed")
        assert load.running(), load.output()
        target.start()
        guest.wait_for(f"[ $(cat {disk.sysfs}/state) = live ]", "the host has reconnected", timeout=90)
        kernel_host.check_fio(load.wait(400))
        disk.disconnect()


def case_host_that_may_not(vm):
    allowed = "nqn.2026-11.io.spdkio:friend"
    with OurTarget(vm, ["malloc:64MiB"], ["--host", allowed]) as target, vm.guest() as guest:
        try:
            kernel_host.connect(guest, ADDRESS, target.port, NQN, "--hostnqn=nqn.2026-11.io.spdkio:stranger")
            raise AssertionError("a host that is not on the list got in")
        except CommandFailed:
            pass
        disk = kernel_host.connect(guest, ADDRESS, target.port, NQN, f"--hostnqn={allowed}")
        disk.block_device(1)
        disk.disconnect()


def case_discovery_controller_stays(vm):
    """A persistent discovery connection hears of a new subsystem and lives on keep-alives."""
    with OurTarget(vm, ["malloc:64MiB"]) as target, vm.guest() as guest:
        guest.run("modprobe nvme_tcp")
        guest.run(f"nvme connect -t tcp -a {ADDRESS} -s {target.port} -n {DISCOVERY_NQN} -k 2")
        name = guest.run("ls /sys/class/nvme").strip()
        guest.run("sleep 7")
        assert guest.run(f"cat /sys/class/nvme/{name}/state").strip() == "live"
        records = guest.json(f"nvme discover -d {name} -o json")["records"]
        assert NQN in [record["subnqn"] for record in records], records
        guest.run(f"nvme disconnect -d {name}")
