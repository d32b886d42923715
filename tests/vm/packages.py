"""Debian packages, downloaded and unpacked without touching the system or needing root."""

import pathlib
import re
import subprocess


class PackageError(Exception):
    pass


class Packages:
    """What `apt` knows, with the archives it gave kept in `folder`."""

    def __init__(self, folder: pathlib.Path):
        self.archives = folder / "archives"
        self.private = folder / "apt"
        self.archives.mkdir(parents=True, exist_ok=True)
        self.options = []

    def _apt(self, tool, *arguments, cwd=None):
        return subprocess.run([tool, "-q", "-o", "APT::Sandbox::User=root", *self.options, *arguments],
                              cwd=cwd, text=True, stdin=subprocess.DEVNULL, capture_output=True)

    def _update_private_lists(self):
        """The machine's package lists are absent or too old to download from; ours replace them."""
        lists = self.private / "lists"
        cache = self.private / "cache"
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        (cache / "archives/partial").mkdir(parents=True, exist_ok=True)
        self.options = ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={cache}"]
        done = self._apt("apt-get", "update")
        if done.returncode != 0:
            raise PackageError(f"apt-get update failed:\n{done.stderr}")

    def dependencies(self, packages):
        """Names that each of `packages` depends on; of alternatives the first that exists."""
        done = self._apt("apt-cache", "depends", "--important", *packages)
        if done.returncode != 0:
            raise PackageError(f"apt does not know all of these: {' '.join(packages)}\n{done.stderr}")
        found, satisfied = {}, False
        for line in done.stdout.splitlines():
            dependency = re.match(r" (\|| )(?:Pre)?Depends: (<?)([^>\s]+)", line)
            if dependency:
                alternative, virtual, name = dependency.groups()
                if not satisfied and not virtual:
                    names.append(name.split(":")[0])
                    satisfied = True
                if alternative != "|":
                    satisfied = False
            elif not line.startswith(" "):
                names = found.setdefault(line.strip(), [])
        return found

    def closure(self, roots):
        """`roots` and the libraries they need; what is run only by their install scripts is left out."""
        found, level = set(), set(roots)
        while level:
            found |= level
            wanted = {name for names in self.dependencies(sorted(level)).values() for name in names}
            level = {name for name in wanted - found
                     if name.startswith(("lib", "zlib")) and not name.startswith(("libpython", "libperl"))}
        return sorted(found)

    def resolve(self, function):
        """`function()`; if the machine's lists don't serve, once more with lists of our own."""
        try:
            return function()
        except PackageError:
            if self.options:
                raise
            self._update_private_lists()
            return function()

    def _archives_of(self, name):
        """Of `name`, or of one version of it: `name=version`."""
        name, _, version = name.partition("=")
        return list(self.archives.glob(f"{name}_{version.replace(':', '%3a') or '*'}_*.deb"))

    def unpack(self, names, target: pathlib.Path):
        """The files of the packages, each `name` or `name=version`, below `target`."""
        missing = [name for name in names if not self._archives_of(name)]
        if missing:
            done = self._apt("apt-get", "download", *missing, cwd=self.archives)
            if done.returncode != 0:
                raise PackageError(f"apt-get download failed:\n{done.stderr}")
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            archive, = self._archives_of(name)
            subprocess.run(["dpkg-deb", "-x", archive, target], check=True)

    def forget(self, names):
        """Their archives are not kept."""
        for name in names:
            for archive in self._archives_of(name):
                archive.unlink()

    def version(self, name):
        archive, = self._archives_of(name)
        return archive.name.split("_")[1].replace("%3a", ":")
