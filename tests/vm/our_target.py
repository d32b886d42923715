"""`spdkio serve` on the machine, for hosts in guests."""

import json
import pathlib
import re
import select
import socket
import subprocess
import time

NQN = "nqn.2026-11.io.spdkio:target"
DISCOVERY_NQN = "nqn.2014-08.org.nvmexpress.discovery"
# Where a guest finds the machine's loopback interface.
ADDRESS = "10.0.2.2"


class TargetError(Exception):
    pass


class OurTarget:
    """Ends with the `with` block. Devices are those of `spdkio serve`; a file keeps its content over `restart`."""

    def __init__(self, bench, devices, options=()):
        self._program = bench.program
        self._folder = pathlib.Path(bench.folder)
        self._devices = list(devices)
        self._options = list(options)
        self._socket = self._folder / "target.sock"
        self._log = open(self._folder / "target.log", "ab")
        self._process = None
        self._request = 0
        self.port = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
        self._log.close()

    def start(self):
        """On the port that it had before, if it ran before."""
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", self._program, "serve", *self._devices, "--listen",
             f"127.0.0.1:{self.port}", "--json", "--rpc", self._socket, *self._options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log)
        if not select.select([self._process.stdout], [], [], 60)[0]:
            raise TargetError("the target did not get ready in a minute")
        line = self._process.stdout.readline()
        if not line:
            raise TargetError(f"the target ended with {self._process.wait()}")
        self.ready = json.loads(line)
        self.port = int(re.search(r"trsvcid:(\d+)", self.ready["subsystems"][0]["listeners"][0]).group(1))

    def kill(self):
        if self._process and self._process.poll() is None:
            self._process.kill()
        if self._process:
            self._process.wait()
            self._process.stdout.close()
            self._process = None

    def stop(self, timeout=30):
        """Orderly; it must come to its end."""
        self._process.terminate()
        status = self._process.wait(timeout)
        if status != 0:
            raise TargetError(f"the target ended with {status}")
        self._process.stdout.close()
        self._process = None

    def running(self):
        return self._process.poll() is None

    def call(self, method, **params):
        """A JSON-RPC method; its result."""
        self._request += 1
        request = {"jsonrpc": "2.0", "id": self._request, "method": method}
        if params:
            request["params"] = params
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(self._socket))
            connection.sendall(json.dumps(request).encode())
            data = b""
            while True:
                part = connection.recv(65536)
                if not part:
                    raise TargetError(f"{method}: the target hung up")
                data += part
                try:
                    answer = json.loads(data)
                    break
                except ValueError:
                    continue
        if "error" in answer:
            raise TargetError(f"{method}: {answer['error']}")
        return answer["result"]

    def wait_until(self, condition, what, timeout=30):
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise TargetError(f"in {timeout} s it did not come about that {what}")
            time.sleep(0.1)
