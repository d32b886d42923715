"""What is read out of ELF files: needed libraries, and a kernel's module information."""

import pathlib
import re
import subprocess


def needed(path: pathlib.Path):
    """Names of the libraries that the loader will look for, and of the loader."""
    text = subprocess.run(["readelf", "--wide", "--dynamic", "--program-headers", path],
                          text=True, capture_output=True, check=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.*)\]", text), re.findall(r"program interpreter: (.*)\]", text)


def libraries(programs, folders):
    """Paths of all libraries that `programs` need, looked for in `folders`, with the names they are looked up by."""
    found, queue = {}, list(programs)
    while queue:
        program = queue.pop()
        for name in needed(program)[0]:
            if name in found or name.startswith("ld-linux"):
                continue
            for folder in folders:
                if (folder / name).exists():
                    found[name] = folder / name
                    queue.append(folder / name)
                    break
            else:
                raise FileNotFoundError(f"{name}, which {program} needs")
    return found


def module_information(path: pathlib.Path):
    """`depends` and the other notes of a kernel module."""
    notes = {}
    for note in re.finditer(rb"(?:^|\0)(depends|softdep|name|alias)=([^\0]*)", path.read_bytes()):
        notes.setdefault(note.group(1).decode(), []).append(note.group(2).decode())
    return notes
