"""Builds what the guests boot from Debian packages: a kernel, and an initial RAM disk with a small userland."""

import hashlib
import lzma
import pathlib
import shutil
import struct

import cpio
import elf
from packages import Packages

PROGRAMS = {
    "nvme-cli": ["usr/sbin/nvme"],
    "e2fsprogs": ["sbin/mke2fs", "sbin/e2fsck"],
    "fio": ["usr/bin/fio"],
}
LINKS = {"sbin/mkfs.ext4": "mke2fs", "sbin/fsck.ext4": "e2fsck"}
MODULES = [
    "virtio_pci", "virtio_net", "virtio_console", "crc32c_generic", "crc32c_intel",
    "configfs", "nvme", "nvme_tcp", "nvmet_tcp", "null_blk", "ext4", "vfio_pci", "vfio_iommu_type1",
]
LIBRARY_FOLDERS = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/ceph"]
HERE = pathlib.Path(__file__).resolve().parent


class Image:
    """The files of a built image."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.kernel = folder / "vmlinux"
        self.initrd = folder / "initrd"
        self.stamp = folder / "stamp"
        self.versions = folder / "versions"


def _recipe():
    digest = hashlib.sha256()
    for name in ["image.py", "packages.py", "cpio.py", "elf.py", "init"]:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()


def uncompressed_kernel(bzimage: bytes):
    """The ELF inside a bzImage. The guest need not unpack it in emulation, which would take most of its boot."""
    setup_sectors = bzimage[0x1F1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = bzimage[start:start + length]
    if not payload.startswith(b"\xfd7zXZ\0"):
        raise ValueError("the kernel is not compressed with xz")
    return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(payload)


def module_closure(root: pathlib.Path, names):
    """Paths of the modules and of what they depend on, each with its dependencies in order of loading."""
    paths = {path.stem.replace("-", "_"): path for path in root.rglob("*.ko")}
    closed = {}

    def visit(name):
        if name not in paths:
            return []  # part of the kernel itself
        if name not in closed:
            wanted = elf.module_information(paths[name]).get("depends", [""])[0]
            order = []
            for other in filter(None, wanted.split(",")):
                for step in [*visit(other.replace("-", "_")), other.replace("-", "_")]:
                    if step in paths and step not in order:
                        order.append(step)
            closed[name] = order
        return closed[name]

    for name in names:
        if name not in paths:
            raise FileNotFoundError(f"the kernel package has no module {name}")
        visit(name)
    return {name: (paths[name], [paths[step] for step in order]) for name, order in closed.items()}


def build(folder: pathlib.Path):
    """The image in `folder`, built if it is not there or its recipe has changed."""
    image = Image(folder)
    recipe = _recipe()
    if image.stamp.exists() and image.stamp.read_text() == recipe:
        return image
    folder.mkdir(parents=True, exist_ok=True)
    packages = Packages(folder)
    tree = folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)

    def obtain():
        kernel = next(name for name in packages.dependencies(["linux-image-amd64"])["linux-image-amd64"]
                      if name.startswith("linux-image-"))
        names = packages.closure(["busybox-static", *PROGRAMS])
        packages.unpack([*names, kernel], tree)
        return kernel

    kernel = packages.resolve(obtain)
    release = kernel.removeprefix("linux-image-")

    archive = cpio.Archive()
    archive.device("dev/console", 5, 1)
    archive.copy("init", HERE / "init")
    archive.copy("bin/busybox", tree / "bin/busybox")
    archive.link("bin/sh", "busybox")
    for name in ["proc", "sys", "tmp", "root", "run", "etc"]:
        archive.folder(name)
    programs = [tree / program for group in PROGRAMS.values() for program in group]
    for program in programs:
        archive.copy(str(program.relative_to(tree)), program)
    for name, target in LINKS.items():
        archive.link(name, target)
    found = elf.libraries(programs, [tree / name for name in LIBRARY_FOLDERS])
    for name, path in sorted(found.items()):
        archive.copy(f"lib/x86_64-linux-gnu/{name}", path)
    archive.copy("lib64/ld-linux-x86-64.so.2", tree / "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
    archive.file("etc/ld.so.conf", b"")

    modules = tree / "lib/modules" / release
    lines = []
    for path, order in module_closure(modules, MODULES).values():
        archive.copy(f"lib/modules/{release}/{path.relative_to(modules)}", path)
        # The last to be loaded first comes last.
        steps = " ".join(str(step.relative_to(modules)) for step in reversed(order))
        lines.append(f"{path.relative_to(modules)}: {steps}\n")
    archive.file(f"lib/modules/{release}/modules.dep", "".join(lines).encode())

    image.kernel.write_bytes(uncompressed_kernel((tree / "boot" / f"vmlinuz-{release}").read_bytes()))
    image.initrd.write_bytes(archive.bytes())
    image.versions.write_text("".join(f"{name} {packages.version(name)}\n" for name in [kernel, *PROGRAMS]))
    shutil.rmtree(tree)
    image.stamp.write_text(recipe)
    return image
