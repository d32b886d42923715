"""The archive format of initial RAM disks ("newc"), written with whatever owner and mode is asked for."""

import os
import pathlib
import stat


class Archive:
    def __init__(self):
        self._data = bytearray()
        self._inode = 0
        self._folders = set()

    def _entry(self, name, mode, content=b"", device=(0, 0)):
        self._inode += 1
        encoded = name.encode() + b"\0"
        fields = [self._inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(encoded), 0]
        self._data += b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self._data += b"\0" * (-len(self._data) % 4)
        self._data += content
        self._data += b"\0" * (-len(self._data) % 4)

    def folder(self, name):
        name = name.strip("/")
        if not name or name in self._folders:
            return
        self.folder(os.path.dirname(name))
        self._folders.add(name)
        self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, content: bytes, executable=False):
        self.folder(os.path.dirname(name))
        self._entry(name.strip("/"), stat.S_IFREG | (0o755 if executable else 0o644), content)

    def copy(self, name, path: pathlib.Path):
        self.file(name, path.read_bytes(), os.access(path, os.X_OK))

    def link(self, name, target):
        self.folder(os.path.dirname(name))
        self._entry(name.strip("/"), stat.S_IFLNK | 0o777, target.encode())

    def device(self, name, major, minor):
        self.folder(os.path.dirname(name))
        self._entry(name.strip("/"), stat.S_IFCHR | 0o600, device=(major, minor))

    def bytes(self):
        """The archive; several, one after the other, are one initial RAM disk."""
        closed = Archive()
        closed._entry("TRAILER!!!", 0)
        data = bytes(self._data) + bytes(closed._data)
        return data + b"\0" * (-len(data) % 512)
