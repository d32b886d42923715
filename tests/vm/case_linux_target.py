"""Our initiator on the machine against the kernel's NVMe/TCP target in a guest."""

import pathlib
import subprocess
import time

from kernel_target import NQN, PORT, KernelTarget


class Exercise:
    """nvme_exercise on the machine; ends with the `with` block."""

    def __init__(self, vm, what, transport_id, *arguments):
        self._output = pathlib.Path(vm.folder) / f"{what}.log"
        self._file = open(self._output, "wb")
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", vm.exercise, what, transport_id, *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=self._file, stderr=self._file)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._file.close()

    def output(self):
        return self._output.read_text(errors="replace")

    def wait(self, timeout=300):
        status = self._process.wait(timeout)
        assert status == 0, f"ended with {status}:\n{self.output()}"
        return self.output()

    def progress(self):
        lines = [line for line in self.output().splitlines() if line.startswith("progress ")]
        return int(lines[-1].split()[1]) if lines else 0

    def wait_for_progress(self, beyond, timeout=120):
        deadline = time.monotonic() + timeout
        while self.progress() <= beyond:
            assert self._process.poll() is None, f"it has ended:\n{self.output()}"
            assert time.monotonic() < deadline, f"no progress beyond {beyond} in {timeout} s:\n{self.output()}"
            time.sleep(0.1)
        return self.progress()


def _id(guest):
    return f"trtype:TCP adrfam:IPv4 traddr:127.0.0.1 trsvcid:{guest.forwarded} subnqn:{NQN}"


def case_identify_and_verify(vm):
    with vm.guest(forward=PORT) as guest:
        KernelTarget(guest, namespaces=2)
        with Exercise(vm, "identify", _id(guest)) as exercise:
            facts = exercise.wait()
            assert "serial=KERNEL0001" in facts, facts
            assert facts.count(f"blocks={64 * 2048} block_size=512") == 2, facts
        with Exercise(vm, "verify", _id(guest)) as exercise:
            output = exercise.wait()
            assert "verified nsid=1" in output and "verified nsid=2" in output, output


def case_stopped_and_started_under_load(vm):
    with vm.guest(forward=PORT) as guest:
        target = KernelTarget(guest)
        with Exercise(vm, "load", _id(guest), 45) as load:
            done = load.wait_for_progress(0)
            for _ in range(2):
                target.unlisten()
                time.sleep(2)
                target.listen()
                done = load.wait_for_progress(done + 512)
            output = load.wait()
        assert "done" in output, output
        connections = int(output.split("connections ")[1].split()[0])
        assert connections >= 3, output
