"""Which package owns a file. The databases of dpkg and pacman are text and are read here; rpm's only rpm can read."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

FindOwner = Callable[[bytes], str]  # takes an absolute path; returns its package, "" if none owns it. Raises OSError

_DPKG = "var/lib/dpkg"
_PACMAN = "var/lib/pacman/local"
_RPM_TIMEOUT_S = 20
_RPM_COMMAND = ("--query", "--queryformat", "%{NAME}\n", "--file", "--")


def open_package_database(root: Path = Path("/")) -> FindOwner | None:
    """The database of this system's package manager; None if it is none of those below."""
    if (root / _DPKG / "status").is_file():
        return DpkgDatabase(root).find_owner
    if (root / _PACMAN).is_dir():
        return PacmanDatabase(root).find_owner
    rpm = shutil.which("rpm")
    return RpmDatabase(rpm).find_owner if rpm else None


class DpkgDatabase:
    """info/PACKAGE.list names each file of a package on a line of its own, as it was before any diversion."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / _DPKG

    def find_owner(self, path: bytes) -> str:
        original, diverter = self._undivert(path)
        if diverter and original == path:
            return diverter.strip(":")  # dpkg writes `:` for a diversion that the administrator made
        lines = [b"\n%b\n" % alias for alias in _aliases(original, self._root)]
        for package in self._packages_with(lines):
            if package != diverter:
                return package
        return ""

    def _packages_with(self, lines: list[bytes]) -> Iterator[str]:
        for file in (self._folder / "info").glob("*.list"):
            content = b"\n" + file.read_bytes()
            if any(line in content for line in lines):
                # The file is named `libc6:amd64` if several architectures may coexist.
                yield file.stem.partition(":")[0]

    def _undivert(self, path: bytes) -> tuple[bytes, str]:
        """The path before any diversion, and the package that diverted it, "" for none: dpkg-divert(1).

        `diversions` has three lines each: the path, where other packages' files of that path are put, the package.
        """
        try:
            lines = (self._folder / "diversions").read_bytes().splitlines()
        except FileNotFoundError:
            return path, ""
        for original, elsewhere, package in zip(lines[::3], lines[1::3], lines[2::3], strict=False):
            if path in (original, elsewhere):
                return original, package.decode(errors="replace")
        return path, ""


class PacmanDatabase:
    """NAME-VERSION-RELEASE/files names each file of a package on a line of its own, without the first slash."""

    def __init__(self, root: Path) -> None:
        self._folder = root / _PACMAN

    def find_owner(self, path: bytes) -> str:
        line = b"\n%b\n" % path.lstrip(b"/")
        for folder in self._folder.iterdir():
            files = folder / "files"
            if files.is_file() and line in files.read_bytes():
                return folder.name.rsplit("-", 2)[0]
        return ""


class RpmDatabase:
    def __init__(self, tool: str) -> None:
        self._tool = tool

    def find_owner(self, path: bytes) -> str:
        command: list[str | bytes] = [self._tool, *_RPM_COMMAND, path]
        environment = {"PATH": os.defpath, "LC_ALL": "C"}
        try:
            done = subprocess.run(command, capture_output=True, env=environment, timeout=_RPM_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise OSError(str(error)) from error
        # rpm(8) exits with an error for a file that no package owns.
        return done.stdout.decode(errors="replace").partition("\n")[0] if done.returncode == 0 else ""


def _aliases(path: bytes, root: Path) -> Iterator[bytes]:
    """The path, and /bin/x for /usr/bin/x where /bin is a link into /usr: old packages list that (Debian: UsrMerge)."""
    yield path
    if path.startswith(b"/usr/"):
        shorter = path.removeprefix(b"/usr")
        if (root / os.fsdecode(shorter.split(b"/")[1])).is_symlink():
            yield shorter
