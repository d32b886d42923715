#!/usr/bin/env python3
"""Runs one case in guests of its own.
  run.py --build-dir DIR image           builds what the guests boot, or says why it can't be
  run.py --build-dir DIR vfio_modules    builds the kernel modules of case_vfio_noiommu.py; exit status 77: can't be had
  run.py --build-dir DIR SUITE.CASE      runs case_CASE of case_SUITE.py
The last line is PASS, FAIL or SKIP; with FAIL, logs of the guests stay in the folder that is named."""

import argparse
import importlib
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

import image as images
import vfio_modules
from guest import Guest, QemuCrashed

SKIPPED = 77


class Bench:
    """What a case works with."""

    def __init__(self, image, build_dir, folder, program, exercise, kernel=None):
        self.image = image
        self.build_dir = build_dir
        self.kernel = kernel
        self.folder = folder
        self.program = program
        self.exercise = exercise
        self._guests = 0

    def guest(self, **options):
        self._guests += 1
        return Guest(self.image, self.folder / f"guest{self._guests}", kernel=self.kernel, **options)

    def vfio_modules(self):
        """What puts VFIO with a no-IOMMU mode in the place of the image's: one of the `archives` of a guest."""
        return vfio_modules.build(self.build_dir / "vfio_modules", self.image)


def run_case(case, bench):
    """Once more after a crash of QEMU, which says nothing about what is tested; a second crash is a failure."""
    try:
        case(bench)
    except QemuCrashed:
        traceback.print_exc(file=sys.stdout)
        print("QEMU crashed; the case runs again")
        case(bench)


def run_build(build):
    try:
        build()
    except vfio_modules.Unavailable as reason:
        print(f"SKIP: {reason}")
        return SKIPPED
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build-dir", type=pathlib.Path, required=True, help="for the image and temporary files")
    parser.add_argument("--program", type=pathlib.Path, help="the program spdkio")
    parser.add_argument("--exercise", type=pathlib.Path, help="the program nvme_exercise")
    parser.add_argument("--kernel", type=pathlib.Path, help="what the guests boot, instead of Debian's; with all drivers in it")
    parser.add_argument("case")
    arguments = parser.parse_args()
    image = images.build(arguments.build_dir / "image")
    print(image.versions.read_text(), end="")
    if arguments.case == "image":
        return 0
    if arguments.case == "vfio_modules":
        return run_build(lambda: vfio_modules.build(arguments.build_dir / "vfio_modules", image))

    suite, _, name = arguments.case.partition(".")
    case = getattr(importlib.import_module(f"case_{suite}"), f"case_{name}")
    # Paths of Unix sockets are short, and build folders may be deep.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="spdkio-vm-"))
    bench = Bench(image, arguments.build_dir, folder, arguments.program, arguments.exercise, arguments.kernel)
    started = time.monotonic()
    try:
        run_case(case, bench)
    except vfio_modules.Unavailable as reason:
        print(f"SKIP {arguments.case}: {reason}")
        return SKIPPED
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        for log in sorted(folder.rglob("*.log")):
            print(f"--- end of {log.relative_to(folder)}")
            print("\n".join(log.read_text(errors="replace").splitlines()[-40:]))
        kept = arguments.build_dir / "failed" / arguments.case
        shutil.rmtree(kept, ignore_errors=True)
        for log in folder.rglob("*.log"):
            copy = kept / log.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(log, copy)
        print(f"FAIL {arguments.case}, logs in {kept}")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"PASS {arguments.case} in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
