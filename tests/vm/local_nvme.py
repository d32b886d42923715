"""An NVMe device of QEMU's in a guest, and our initiator there with it."""

import os
import pathlib
import re

import cpio
import elf

# Where the machine's loader finds libraries, in the order of looking.
LIBRARY_FOLDERS = [pathlib.Path(name) for name in ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/lib"]]
PROGRAM = "/bin/nvme_exercise"


def program_archive(program: pathlib.Path):
    """The program and its libraries, to be unpacked over the image."""
    archive = cpio.Archive()
    archive.copy(PROGRAM, program)
    for name, path in sorted(elf.libraries([program], LIBRARY_FOLDERS).items()):
        archive.copy(f"lib/x86_64-linux-gnu/{name}", path)
    archive.copy("lib64/ld-linux-x86-64.so.2", pathlib.Path("/lib64/ld-linux-x86-64.so.2"))
    return archive.bytes()


def devices(folder: pathlib.Path, namespaces, *, iommu=True, controller=""):
    """Arguments for QEMU: a controller behind a port of its own, with namespaces of so many bytes and properties."""
    arguments = ["-device", "intel-iommu,intremap=on"] if iommu else []
    arguments += ["-device", "pcie-root-port,id=slot1,chassis=1,slot=1",
                  "-device", f"nvme,serial=QEMU0001,id=nvme0,bus=slot1{controller}"]
    for number, (size, properties) in enumerate(namespaces, 1):
        image = folder / f"namespace{number}.img"
        with open(image, "wb") as file:
            os.truncate(file.fileno(), size)
        arguments += ["-drive", f"file={image},if=none,id=drive{number},format=raw,discard=unmap",
                      "-device", f"nvme-ns,drive=drive{number},bus=nvme0,nsid={number}{properties}"]
    return arguments


def guest(vm, namespaces, *, iommu=True, controller="", archives=()):
    """A guest with such a controller and our program; `archives` come over the image too."""
    folder = vm.folder / "disks"
    folder.mkdir(exist_ok=True)
    return vm.guest(devices=devices(folder, namespaces, iommu=iommu, controller=controller), memory_mb=1024,
                    kernel_options="intel_iommu=on" if iommu else "", archives=[program_archive(vm.exercise), *archives])


class LocalNvme:
    """The guest's NVMe controller, offered to vfio-pci, which takes it if it is to be `bound`."""

    def __init__(self, guest, *, bound=True):
        self._guest = guest
        self.address = guest.run("""
            for device in /sys/bus/pci/devices/*; do
              [ "$(cat "$device/class")" = 0x010802 ] && echo "${device##*/}"
            done; true""").strip()
        assert self.address, guest.run("for d in /sys/bus/pci/devices/*; do echo $d $(cat $d/class); done")
        guest.run(f"""
            modprobe vfio-pci || [ -d /sys/bus/pci/drivers/vfio-pci ]
            modprobe vfio_iommu_type1 || [ -e /dev/vfio/vfio ]
            echo vfio-pci >/sys/bus/pci/devices/{self.address}/driver_override
            echo {self.address} >/sys/bus/pci/drivers_probe || true
            [ "$(readlink /sys/bus/pci/devices/{self.address}/driver)" {"!=" if bound else "="} "" ]
        """)

    def command(self, what, options="", seconds=""):
        return f"{PROGRAM} {options} {what} 'trtype:PCIe traddr:{self.address}' {seconds}"

    def run(self, what, options="", seconds="", timeout=300):
        return self._guest.run(self.command(what, options, seconds), timeout=timeout)

    def start(self, what, options="", seconds=""):
        return self._guest.start(self.command(what, options, seconds))

    def removed_under_load(self):
        """Takes the device away from a program that uses it; that ends with an error and does not hang."""
        load = self.start("load", "--no-reconnect", 300)
        self._guest.wait_for("grep -q progress /jobs/1.output", "the load has begun")
        self._guest.qmp("device_del", id="nvme0")
        output = load.wait(120, check=False)
        assert load.status == 3, (load.status, output)
        assert re.search(r"error: .*", output) and "detached" in output, output
        self._guest.wait_for(f"! test -e /sys/bus/pci/devices/{self.address}", "the device is gone")

    def interrupts(self):
        """How many of its interrupts were delivered to our program, by vector."""
        counts = {}
        for line in self._guest.run("cat /proc/interrupts").splitlines():
            if "vfio-msix" not in line:
                continue
            words = line.split()
            vector = words[-1]
            counts[vector] = sum(int(word) for word in words[1:] if word.isdigit())
        return counts
