"""Name and icon of a program, from the desktop files of this machine (Desktop Entry Specification 1.5).

1. Only a file that root alone can write tells anything: another could call any program a browser. So the folders of a
   user are not read.
2. An entry is a program's if it starts that file with options at most. A word more would make it something else of
   the same file (`flatpak run`, `python3 FILE`). If several are, the one with the fewest options is, or none.
3. Some entries start a script that starts a program of the same name elsewhere (`/usr/bin/firefox`,
   `/usr/lib/firefox/firefox`): that is taken for it if root alone can write it, too.
"""

import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from tinysnitch.core.model.process import Process
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.view.lookup import DesktopEntry

FOLDERS = tuple(
    Path(folder) / "applications"
    for folder in (
        "/usr/local/share",
        "/usr/share",
        "/var/lib/flatpak/exports/share",
        "/var/lib/snapd/desktop",
    )
)
BINARIES = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/games", "/usr/games", "/usr/sbin", "/snap/bin")
MAX_SIZE = 1 << 20  # bytes of a desktop file
CAPACITY = 256  # programs that are remembered
_GROUP = "[Desktop Entry]"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Starter(msgspec.Struct, frozen=True):
    """What a desktop file starts, and how it is called there."""

    program: str
    options: int
    entry: DesktopEntry


class DesktopEntries:
    def __init__(self, folders: Iterable[Path] = FOLDERS) -> None:
        self._folders = tuple(folders)
        self._stamps: tuple[int, ...] = ()
        self._starters: tuple[Starter, ...] = ()
        self._known: BoundedTable[str, tuple[DesktopEntry | None]] = BoundedTable(CAPACITY)

    def find(self, process: Process) -> DesktopEntry | None:
        """The entry of the process's program; None if there is none, or it is not this machine's file."""
        if not process.is_host_file:
            return None
        if (stamps := tuple(map(_read_changed_ns, self._folders))) != self._stamps:
            self._stamps, self._starters = stamps, tuple(read_starters(self._folders))
            self._known.clear()
        known = self._known.find(process.program)
        if known is None:
            known = (choose_entry(process.program, self._starters),)
            self._known.put(process.program, known)
        return known[0]


def choose_entry(program: str, starters: Iterable[Starter]) -> DesktopEntry | None:
    """The entry of this program among all."""
    name = os.path.basename(program)
    alike = [one for one in starters if os.path.basename(one.program) == name]
    found = [one for one in alike if one.program == program] or (alike if is_of_root(program) else [])
    least = min((one.options for one in found), default=0)
    entries = {one.entry for one in found if one.options == least}
    return entries.pop() if len({entry.name for entry in entries}) == 1 else None


def read_starters(folders: Iterable[Path]) -> Iterator[Starter]:
    """What the desktop files of these folders start; of two files of one name the first folder's counts."""
    seen: set[str] = set()
    for folder in folders:
        for path in sorted(folder.rglob("*.desktop")):
            name = str(path.relative_to(folder))
            if name not in seen and is_of_root(path):
                seen.add(name)
                yield from _read_starter(path)


def _read_starter(path: Path) -> Iterator[Starter]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SIZE).decode(errors="replace")
    except OSError:
        return
    values = parse_desktop_file(text)
    program, options = split_command(values.get("Exec", ""))
    if program and values.get("Name") and values.get("Hidden") != "true":
        icon = values.get("Icon", "")
        is_safe = not icon.startswith("/") or is_of_root(icon)
        yield Starter(program, options, DesktopEntry(values["Name"], icon if is_safe else ""))


def parse_desktop_file(text: str) -> dict[str, str]:
    """The keys of its main group."""
    values: dict[str, str] = {}
    group = ""
    for line in text.splitlines():
        if line.startswith("["):
            group = line.strip()
        elif group == _GROUP and not line.startswith("#"):
            key, _equals, value = line.partition("=")
            values.setdefault(key.strip(), value.strip())
    return values


def split_command(command: str) -> tuple[str, int]:
    """The file that an `Exec` starts, and the number of its options; "" if it has other words, too."""
    try:
        words = shlex.split(command)
    except ValueError:
        return "", 0
    if words[:1] == ["env"]:
        words = words[1:]
        while words and "=" in words[0]:
            words = words[1:]
    words = [word for word in words if not word.startswith("%")]
    if not words or any(not word.startswith("-") for word in words[1:]):
        return "", 0
    return find_program(words[0]), len(words) - 1


def find_program(word: str) -> str:
    """The file that this word starts, with all links followed; "" if there is none."""
    paths = [word] if word.startswith("/") else [f"{folder}/{word}" for folder in BINARIES]
    return next((os.path.realpath(path) for path in paths if os.path.isfile(path)), "")


def is_of_root(path: str | Path) -> bool:
    """Whether root alone can write the file, and put another one into its place."""
    real = Path(os.path.realpath(path))
    try:
        states = [one.stat() for one in (real, *real.parents)]
    except OSError:
        return False
    return all(state.st_uid == 0 and not _can_others_replace(state.st_mode) for state in states)


def _can_others_replace(mode: int) -> bool:
    """Whether others than its owner may write the file; or, in the folder, put another file into the place of one."""
    return bool(mode & _OTHERS_WRITE) and not (stat.S_ISDIR(mode) and mode & stat.S_ISVTX)


def _read_changed_ns(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0
