"""Groups of rules: the files `NAME.rules` beside the settings, each read and changed as the main rules file is.

1. A group that is off is the same file with another name, `NAME.rules.off`. So everybody sees its state in the folder,
   and may change it with `mv`. Where both are there the one that is on counts, and neither is renamed over the other.
2. A file whose name is no name of a group is an error, and not left out in silence: somebody believes that it counts.
   Hidden files are left out, since editors keep theirs there.
"""

import os
import re
from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from pathlib import Path

import msgspec

from tinysnitch.core.model.errors import NotUnderstood, RuleSyntaxError, SnitchError
from tinysnitch.store.file_stamp import Stamp, read_stamp
from tinysnitch.store.locks import locked
from tinysnitch.store.rules_file import RulesFile, do_here
from tinysnitch.store.whole_file import errors_named, is_being_written, replace_text

MAIN = "main"  # what commands call the main rules file
ON, OFF = ".rules", ".rules.off"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_NAME_HINT = f"write up to 64 letters, digits, `_`, `.` and `-`, and not {MAIN!r}, which is the main rules file"
_MODE = 0o600  # as the main rules file has


class Group(msgspec.Struct, frozen=True):
    name: str
    path: Path
    is_on: bool


def _look_here(look: Callable[[], list[Path]]) -> list[Path]:
    return look()


class RuleGroups:
    """What it says of the folder is as `look` found it last."""

    def __init__(
        self,
        folder: Path | None = None,
        main: Path | None = None,
        do: Callable[[Path, Callable[[], bool]], bool] = do_here,
        look: Callable[[Callable[[], list[Path]]], list[Path]] = _look_here,
    ) -> None:
        """`folder`: None has no groups. `main`: the main rules file, which is no group if it lies there too. `do` as
        for RulesFile. `look` reads the folder, or raises OSError when that takes too long."""
        self.errors: tuple[RuleSyntaxError, ...] = ()  # files whose names are no names of groups
        self.folder = folder
        self._main = main
        self._do = do
        self._look = look
        self._files: dict[str, RulesFile] = {}  # those that are on, by name
        self._off: dict[str, Path] = {}
        self._seen: dict[str, Stamp | None] = {}

    def look(self) -> bool:
        """Look at the folder; whether others have changed a group that is on since the last look. Raises SnitchError:
        then all is as it was."""
        paths, off, errors = self._find_files()
        is_changed = self._files.keys() != paths.keys()
        self._seen = _stamps_of(paths)
        self._files = {name: self._files.get(name) or RulesFile(path, self._do) for name, path in paths.items()}
        self._off, self.errors = off, errors
        return any([file.take_edit() for file in self._files.values()]) or is_changed

    def is_changed(self) -> bool:
        """Whether there may be something new to read. Raises SnitchError."""
        paths, off, errors = self._find_files()
        return (_stamps_of(paths), off, errors) != (self._seen, self._off, self.errors)

    def is_unsettled(self) -> bool:
        """Whether a group is just being written: it is open for that, or was there a moment ago, as while an editor
        renames one file away and the next one to its place."""
        paths, off, _errors = self._find_files()
        is_gone = not self._files.keys() <= {*paths, *off}
        return is_gone or any(map(is_being_written, paths.values()))

    @property
    def on(self) -> dict[str, RulesFile]:
        """The groups that are on, by name."""
        return self._files

    def list_all(self) -> list[Group]:
        on = [Group(name, file.path, is_on=True) for name, file in self._files.items()]
        return sorted([*on, *(Group(name, path, is_on=False) for name, path in self._off.items())], key=_name_of)

    def get(self, name: str) -> Group:
        """Raises NotUnderstood when there is no such group."""
        self.look()
        found = next((group for group in self.list_all() if group.name == name), None)
        if found is None:
            names = [group.name for group in self.list_all()]
            near = get_close_matches(name, names, n=1)
            known = f"the groups are {', '.join(names)}" if names else "`rules add --group` makes one"
            raise NotUnderstood(f"there is no group {name!r}", f"did you mean {near[0]!r}?" if near else known)
        return found

    def make(self, name: str) -> RulesFile:
        """The file of a group that is on, made without rules if there is none. Raises SnitchError."""
        check_name(name)
        path = self._get_folder() / f"{name}{ON}"
        self.look()
        if name in self._off:
            raise SnitchError(f"the group {name!r} is off", f"`tinysnitch rules enable {name}` puts it in force")
        if name not in self._files:
            self._do(path, partial(_make, path))
            self.look()
        return self._files[name]

    def switch(self, name: str, *, is_on: bool) -> bool:
        """Put a group on or off; whether it was the other. Raises SnitchError, also for one that has errors: those
        of its rules that deny would be missing, and nobody would miss them."""
        group = self.get(name)
        if group.is_on is is_on:
            return False
        target = self._get_folder() / f"{name}{ON if is_on else OFF}"
        if is_on:
            _check_rules(group.path)
        self._do(group.path, partial(_rename, group.path, target))
        self.look()
        return True

    def _get_folder(self) -> Path:
        if self.folder is None:
            raise SnitchError("this daemon has no groups", "it was started with rules of its own")
        return self.folder

    def _find_files(self) -> tuple[dict[str, Path], dict[str, Path], tuple[RuleSyntaxError, ...]]:
        on, off, errors = dict[str, Path](), dict[str, Path](), list[RuleSyntaxError]()
        for path in self._find_paths():
            is_on = path.name.endswith(ON)
            name = path.name.removesuffix(ON if is_on else OFF)
            if _is_name(name):
                (on if is_on else off)[name] = path
            elif is_on:
                errors.append(RuleSyntaxError(str(path), 0, 0, f"{name!r} is no name of a group", _NAME_HINT))
        return on, {name: path for name, path in off.items() if name not in on}, tuple(errors)

    def _find_paths(self) -> list[Path]:
        if self.folder is None:
            return []
        with errors_named(self.folder):
            return self._look(partial(_read_paths, self.folder, self._main))


def _read_paths(folder: Path, main: Path | None) -> list[Path]:
    """The files in the folder that are groups by their names."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith((ON, OFF)) and not entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    paths = [folder / name for name in names if not name.startswith(".")]
    return [path for path in paths if main is None or not _is_same(path, main)]


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _make(path: Path) -> bool:
    """Make a file without rules. Raises SnitchError."""
    with errors_named(path):
        path.parent.mkdir(mode=0o755, exist_ok=True)
        with locked(path):
            if not path.exists():
                replace_text(path, "", _MODE)
    return True


def _rename(path: Path, target: Path) -> bool:
    with errors_named(path), locked(path):
        if target.exists():
            raise SnitchError(f"{target} is there too", "remove one of the two files")
        os.rename(path, target)
    return True


def check_name(name: str) -> None:
    """Raise NotUnderstood for what is no name of a group."""
    if not _is_name(name):
        raise NotUnderstood(f"{name!r} is no name of a group", _NAME_HINT)


def _is_name(name: str) -> bool:
    return name != MAIN and bool(_NAME.fullmatch(name))


def _name_of(group: Group) -> str:
    return group.name


def _stamps_of(paths: dict[str, Path]) -> dict[str, Stamp | None]:
    return {name: _find_stamp(path) for name, path in paths.items()}


def _find_stamp(path: Path) -> Stamp | None:
    try:
        return read_stamp(path)
    except OSError:
        return None


def _check_rules(path: Path) -> None:
    errors = RulesFile(path).read().errors
    if errors:
        raise errors[0]
