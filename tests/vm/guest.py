"""A guest: a QEMU process that is driven through an agent in it, and ends with the `with` block whatever happens."""

import base64
import json
import pathlib
import re
import select
import shlex
import socket
import subprocess
import time

QEMU = "qemu-system-x86_64"


class GuestError(Exception):
    pass


class QemuCrashed(GuestError):
    """A signal ended QEMU, which nothing that a guest does may bring about."""


class CommandFailed(GuestError):
    def __init__(self, script, status, output):
        super().__init__(f"`{script.strip()}` ended with {status}:\n{output.rstrip()}")
        self.status = status
        self.output = output


class _Channel:
    """A stream socket to QEMU, read with deadlines."""

    def __init__(self, path, deadline, alive):
        self._alive = alive
        self._buffer = b""
        while True:
            self._socket = socket.socket(socket.AF_UNIX)
            try:
                self._socket.connect(str(path))
                return
            except OSError:
                self._socket.close()
                alive()
                if time.monotonic() > deadline:
                    raise GuestError(f"no connection to {path}")
                time.sleep(0.02)

    def send(self, data):
        self._socket.sendall(data)

    def _fill(self, deadline, what):
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise GuestError(f"no answer in time: {what}")
            if select.select([self._socket], [], [], min(left, 1))[0]:
                try:
                    data = self._socket.recv(1 << 16)
                except ConnectionResetError:
                    data = b""
                if data:
                    self._buffer += data
                    return
                time.sleep(0.1)
            self._alive()

    def line(self, deadline, what):
        while b"\n" not in self._buffer:
            self._fill(deadline, what)
        text, _, self._buffer = self._buffer.partition(b"\n")
        return text.decode()

    def exactly(self, count, deadline, what):
        while len(self._buffer) < count:
            self._fill(deadline, what)
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def close(self):
        self._socket.close()


class Job:
    """A command that runs in the guest while others do."""

    def __init__(self, guest, number, script):
        self._guest = guest
        self._number = number
        self.script = script

    def running(self):
        return self._guest.run(f"test -e /jobs/{self._number}.status && echo ended || echo running").strip() == "running"

    def output(self):
        return self._guest.run(f"cat /jobs/{self._number}.output")

    def wait(self, timeout=120, check=True):
        """Its output. With `check` a failure raises CommandFailed."""
        deadline = time.monotonic() + timeout
        while self.running():
            if time.monotonic() > deadline:
                raise GuestError(f"`{self.script}` still runs after {timeout} s:\n{self.output()}")
            time.sleep(0.2)
        self.status = int(self._guest.run(f"cat /jobs/{self._number}.status"))
        if check and self.status != 0:
            raise CommandFailed(self.script, self.status, self.output())
        return self.output()

    def kill(self):
        self._guest.run(f"kill -KILL -$(cat /jobs/{self._number}.pid) || true")


class Guest:
    """`folder` takes sockets and logs. `devices` are further arguments for QEMU; `forward` is a TCP port of the guest
    to be reachable on the machine, at `forwarded`. `archives` are unpacked over the image."""

    def __init__(self, image, folder, *, devices=(), forward=None, memory_mb=768, cpus=2, kernel_options="",
                 machine="q35", archives=(), kernel=None):
        self._image = image
        self._folder = pathlib.Path(folder)
        self._devices = list(devices)
        self._forward = forward
        self._memory_mb = memory_mb
        self._cpus = cpus
        self._kernel_options = kernel_options
        self._machine = machine
        self._archives = archives
        self._kernel = kernel or image.kernel
        self._process = None
        self._agent = None
        self._qmp = None
        self._number = 0
        self._jobs = 0
        self.events = []
        self.forwarded = None

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        for channel in (self._agent, self._qmp):
            if channel:
                channel.close()
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self):
        self._folder.mkdir(parents=True, exist_ok=True)
        initrd = self._image.initrd
        if self._archives:
            initrd = self._folder / "initrd"
            initrd.write_bytes(self._image.initrd.read_bytes() + b"".join(self._archives))
        agent, qmp = self._folder / "agent", self._folder / "qmp"
        network = "user,id=net"
        if self._forward:
            network += f",hostfwd=tcp:127.0.0.1:0-:{self._forward}"
        arguments = [
            QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-uuid", "6e7b1f7e-3c0a-4a52-9d6c-0f4f5a1c2b3d", "-machine", self._machine,
            "-accel", "tcg,thread=single", "-cpu", "max", "-smp", str(self._cpus), "-m", str(self._memory_mb),
            "-kernel", self._kernel, "-initrd", initrd,
            "-append", f"console=ttyS0 panic=-1 mitigations=off nokaslr no_timer_check {self._kernel_options}",
            "-serial", f"file:{self._folder / 'console.log'}",
            "-qmp", f"unix:{qmp},server=on,wait=off",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={agent},server=on,wait=off",
            "-device", "virtserialport,chardev=agent,name=agent",
            "-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile=",
            *self._devices,
        ]
        # thread=single: with a thread for each processor QEMU itself crashes now and then, and is hardly faster on two cores.
        # no_timer_check: on a busy machine the emulated timer is late, which the kernel takes for a broken board.
        self._log = open(self._folder / "qemu.log", "wb")
        # QEMU must not outlive a test that is killed.
        self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *map(str, arguments)],
                                         stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        deadline = time.monotonic() + 120
        self._qmp = _Channel(qmp, deadline, self._check_alive)
        self._qmp.line(deadline, "QMP greeting")
        self.qmp("qmp_capabilities")
        self._agent = _Channel(agent, deadline, self._check_alive)
        self.release = self._agent.line(deadline, "boot").removeprefix("ready ")
        if self._forward:
            table = self.qmp("human-monitor-command", command_line="info usernet")
            self.forwarded = int(re.search(r"HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)", table).group(1))

    @property
    def pid(self):
        return self._process.pid

    def _check_alive(self):
        if self._process.poll() is not None:
            kind = QemuCrashed if self._process.returncode < 0 else GuestError
            raise kind(f"QEMU ended with {self._process.returncode}:\n"
                       + (self._folder / "qemu.log").read_text(errors="replace")
                       + self.console())

    def console(self):
        """The kernel's messages so far, the last of them."""
        try:
            return "\n".join((self._folder / "console.log").read_text(errors="replace").splitlines()[-60:])
        except FileNotFoundError:
            return ""

    def qmp(self, command, **arguments):
        """A command to QEMU; its result. Events that come meanwhile are appended to `events`."""
        request = {"execute": command, "arguments": {key.replace("_", "-"): value for key, value in arguments.items()}}
        self._qmp.send(json.dumps(request).encode() + b"\n")
        deadline = time.monotonic() + 60
        while True:
            answer = json.loads(self._qmp.line(deadline, command))
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise GuestError(f"QEMU refuses {command}: {answer['error']['desc']}")
            self.events.append(answer["event"])

    def run(self, script, timeout=60, check=True):
        """Runs a shell script (`sh -e`) in the guest; what it wrote. A failure raises CommandFailed."""
        self._number += 1
        encoded = base64.b64encode(script.encode()).decode()
        self._agent.send(f"{self._number} {timeout} {encoded}\n".encode())
        deadline = time.monotonic() + timeout + 30
        number, status, length = self._agent.line(deadline, script).split()
        if int(number) != self._number:
            raise GuestError(f"answer {number} to request {self._number}")
        output = self._agent.exactly(int(length), deadline, script).decode(errors="replace")
        self.status = int(status)
        if check and self.status != 0:
            raise CommandFailed(script, self.status, output)
        return output

    def json(self, command, timeout=60):
        """The same for a command that prints JSON."""
        output = self.run(command, timeout)
        try:
            return json.loads(output)
        except ValueError as error:
            raise GuestError(f"`{command}` did not print JSON ({error}):\n{output}") from error

    def start(self, script):
        """Runs a shell script while the test goes on."""
        self._jobs += 1
        files = f"/jobs/{self._jobs}"
        inner = f"{script}\n"
        self.run(f"cat >{files}.script <<'END_OF_JOB'\n{inner}END_OF_JOB\n"
                 f"setsid sh -c 'echo $$ >{files}.pid; sh -e {files}.script; echo $? >{files}.status' "
                 f"</dev/null >{files}.output 2>&1 &")
        return Job(self, self._jobs, script)

    def wait_for(self, condition, what=None, timeout=60):
        """Until the shell command `condition` succeeds."""
        deadline = time.monotonic() + timeout
        while True:
            output = self.run(condition, check=False)
            if self.status == 0:
                return output
            if time.monotonic() > deadline:
                raise GuestError(f"in {timeout} s it did not come about that {what or condition}: {output}\n"
                                 f"{self.console()}")
            time.sleep(0.2)

    def write(self, path, content: bytes):
        encoded = base64.b64encode(content).decode()
        self.run(f"echo {encoded} | base64 -d >{shlex.quote(path)}")
