"""The harness itself, with nothing of ours in it: the kernel's NVMe/TCP host against the kernel's target in one guest."""

import os
import signal

import kernel_host
from guest import CommandFailed, GuestError, QemuCrashed
from kernel_target import NQN, KernelTarget


def case_agent(vm):
    with vm.guest() as guest:
        assert guest.run("echo one; echo two >&2") == "one\ntwo\n"
        try:
            guest.run("echo before; false; echo after")
            raise AssertionError("a script that fails did not raise")
        except CommandFailed as failed:
            assert failed.output == "before\n" and failed.status == 1
        guest.run("sleep 30", timeout=1, check=False)
        assert guest.status != 0, "a script that hangs was not ended"
        content = bytes(range(256)) * 8
        guest.write("/tmp/binary", content)
        assert guest.run("wc -c </tmp/binary").strip() == str(len(content))
        job = guest.start("sleep 0.5; echo done; exit 3")
        assert guest.run("echo meanwhile") == "meanwhile\n"
        assert job.wait(check=False) == "done\n" and job.status == 3
        endless = guest.start("sleep 1000")
        endless.kill()
        guest.wait_for("! pgrep -f 'sleep 1000'")


def case_guest_that_dies(vm):
    with vm.guest() as guest:
        try:
            guest.run("poweroff -f", timeout=20)
            raise AssertionError("the end of the guest was not noticed")
        except GuestError as error:
            assert "QEMU ended" in str(error), error


def case_qemu_that_crashes(vm):
    """Told apart from all other failures, since a case is run once more after it."""
    with vm.guest() as guest:
        os.kill(guest.pid, signal.SIGSEGV)
        try:
            guest.run("true", timeout=20)
            raise AssertionError("the end of QEMU was not noticed")
        except QemuCrashed as error:
            assert "QEMU ended with -11" in str(error), error


def case_kernel_to_kernel(vm):
    with vm.guest() as guest:
        KernelTarget(guest)
        found = kernel_host.discover(guest, "127.0.0.1", 4420)
        assert NQN in [record["subnqn"] for record in found], found
        disk = kernel_host.connect(guest, "127.0.0.1", 4420, NQN)
        kernel_host.fio_verify(guest, disk.block_device(1), "4k", size="2m")
        kernel_host.use_file_system(guest, disk.block_device(1))
        disk.disconnect()
