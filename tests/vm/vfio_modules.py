"""VFIO of the guests' kernel with its no-IOMMU mode, which Debian leaves out: the kernel package's own sources of these
few modules, built once more with that option against its headers. Nothing of it is installed."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess

import cpio
from packages import PackageError, Packages

MODULES = ["vfio.ko", "vfio_virqfd.ko", "vfio_iommu_type1.ko", "pci/vfio-pci-core.ko", "pci/vfio-pci.ko"]
# Without debug information it takes a third of the time.
OPTIONS = {"CONFIG_VFIO_NOIOMMU": "y", "CONFIG_VFIO_MDEV": "", "CONFIG_DEBUG_INFO": "", "CONFIG_DEBUG_INFO_BTF_MODULES": "",
           "KCFLAGS": "-DCONFIG_VFIO_NOIOMMU=1"}
TOOLS = {"make": "make", "gcc-12": "gcc-12", "strip": "binutils", "xz": "xz-utils"}


class Unavailable(Exception):
    """The modules can't be built here; says what is missing."""


def _recipe(kernel, version):
    digest = hashlib.sha256(f"{kernel} {version}".encode())
    digest.update(pathlib.Path(__file__).read_bytes())
    return digest.hexdigest()


def _unpack(folder, tree, release, version):
    """Headers and sources of exactly that kernel: its modules must fit in every structure."""
    abi = release.rsplit("-", 1)[0]
    series = re.match(r"\d+\.\d+", release).group()
    source = f"linux-source-{series}={version}"
    names = [f"linux-headers-{release}={version}", f"linux-headers-{abi}-common={version}",
             f"linux-kbuild-{series}={version}", source]
    packages = Packages(folder)
    try:
        packages.resolve(lambda: packages.unpack(names, tree))
    except PackageError as error:
        raise Unavailable(f"no packages that fit the guests' kernel {release} {version}: {error}") from error
    tarball = tree / f"usr/src/linux-source-{series}.tar.xz"
    subprocess.run(["tar", "-I", "xz -T0", "-xf", tarball, "-C", tree, f"linux-source-{series}/drivers/vfio"], check=True)
    packages.forget([source])  # by far the largest, and read only once
    headers = tree / f"usr/src/linux-headers-{release}"
    (headers / "Makefile").write_text(f"include {tree}/usr/src/linux-headers-{abi}-common/Makefile\n")
    return headers, tree / f"linux-source-{series}/drivers/vfio"


def _make(headers, sources):
    # What a surrounding make or ninja has in the environment is not for this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "CC", "CFLAGS"))}
    command = ["make", "-s", "-C", headers, f"M={sources}", f"-j{os.cpu_count()}",
               *(f"{name}={value}" for name, value in OPTIONS.items()), "modules"]
    done = subprocess.run(command, env=environment, text=True, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"the modules don't build:\n{done.stdout}{done.stderr}")


def build(folder: pathlib.Path, image):
    """An archive that puts the modules in the place of the image's; built if it is not there or something has changed."""
    kernel, version = image.versions.read_text().split()[:2]
    result, stamp = folder / "archive", folder / "stamp"
    recipe = _recipe(kernel, version)
    if stamp.exists() and stamp.read_text() == recipe:
        return result.read_bytes()
    missing = sorted({package for program, package in TOOLS.items() if not shutil.which(program)})
    if missing:
        raise Unavailable(f"kernel modules need these packages: {' '.join(missing)}")
    folder.mkdir(parents=True, exist_ok=True)
    tree = folder.resolve() / "tree"
    if re.search(r"[\s:]", str(tree)):
        raise Unavailable(f"the kernel's makefiles can't work below '{tree}', with a space or colon in it")
    shutil.rmtree(tree, ignore_errors=True)
    release = kernel.removeprefix("linux-image-")
    headers, sources = _unpack(folder, tree, release, version)
    _make(headers, sources)
    archive = cpio.Archive()
    for module in MODULES:
        subprocess.run(["strip", "--strip-debug", sources / module], check=True)
        archive.copy(f"lib/modules/{release}/kernel/drivers/vfio/{module}", sources / module)
    result.write_bytes(archive.bytes())
    shutil.rmtree(tree)
    stamp.write_text(recipe)
    return result.read_bytes()
