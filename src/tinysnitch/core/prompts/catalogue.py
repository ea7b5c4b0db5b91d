"""The catalogue of programs (programs.toml): what is known of single ones, and what it says of a connection's program.

It serves proposals alone. What it finds rests on names, paths and arguments, which users choose: so where it makes a
rule wider than these arguments, the rule names the starter as parent=.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any

import msgspec

from tinysnitch.core.model.connection import Connection, Traits
from tinysnitch.core.model.process import Process
from tinysnitch.core.programs.interpreters import find_interpreter, has_entry
from tinysnitch.core.rules.path_pattern import escape_pattern

_VERSION = r"(?:-?\d+(?:\.\d+)*t?)?"
_LONGEST = 4096  # characters that are compared: users choose them, and regular expressions may take long
_WITH_VALUE = ("-X", "-W")  # Python's own options that take the next word
_TELLS = ("-c", "-m", "-e")  # what stands behind is what an interpreter runs
# Below these a file's name is what it is. Elsewhere a user may call a copy of Python or a shell what they like.
_NAMED_BY_ROOT = ("/usr/", "/bin/", "/sbin/")
# A leading option, and the word behind it: code behind -c or -e, or in the same word; a module behind -m; an archive of
# Java; `-` for standard input. `-c 3` is a count, so code is what has a blank, a semicolon or a parenthesis.
_CODE = re.compile(
    r"--?\w*[ce](?:ommand|val|xec)?[\0=]?[^\0]*[\s;(].*|-\w*m\0[A-Za-z_][\w.]*|-jar\0.+|-\0.*", re.DOTALL
)
_PLACE = re.compile(r"(.*) - at `\$(?:\.worker\[(\d+)\])?\.?(\w*).*`")  # how msgspec names the place of a mistake
_FIELD = re.compile(r"field `(.*)`")


class BadEntry(Exception):
    """What is wrong with an entry, a word that stands on its line, and which worker it is of, from 0."""

    def __init__(self, problem: str, word: str, worker: int | None = None) -> None:
        super().__init__(problem)
        self.word = word
        self.worker = worker


class Worker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    runs: str
    told: tuple[str, ...] = (".*",)
    below_shells: bool = False


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of the file, which says what each is for."""

    runs_anything: tuple[str, ...] = ()
    shells: tuple[str, ...] = ()
    starts_anything: tuple[str, ...] = ()
    counts_ports: tuple[str, ...] = ()
    told_ports: tuple[int, ...] = ()
    new_paths: tuple[str, ...] = ()
    worker: tuple[Worker, ...] = ()

    def join(self, other: "Catalogue") -> "Catalogue":
        return Catalogue(*(getattr(self, key) + getattr(other, key) for key in self.__struct_fields__))

    def describe(self, connection: Connection) -> Connection:
        """The connection with what the catalogue says of its program."""
        process = connection.attribution.process
        if process is None:
            return connection
        lasting_path = self._find_lasting_path(process.program)
        is_told = self._is_told_what_to_run(process)
        if lasting_path and any(map(self._find_lasting_path, process.args)):
            is_told = False  # an AppImage's own Python, with a script of the AppImage
        traits = Traits(
            is_its_file=not is_told,
            starter=self._find_starter(process) if is_told else None,
            lasting_path=lasting_path,
            counts_ports=_is_among(self.counts_ports, process.program),
        )
        return msgspec.structs.replace(connection, traits=traits)

    def _is_told_what_to_run(self, process: Process) -> bool:
        is_one_liner = process.run_by is None and self._is_one_liner(process.executable, process.args)
        return self._runs_anything(process.program) or is_one_liner

    def keeps_args(self, path: str, args: tuple[str, ...]) -> bool:
        """Whether the arguments say what the program at the path runs, so that no rule is for any others."""
        return self._runs_anything(path) or self._is_one_liner(path, args)

    def _runs_anything(self, path: str) -> bool:
        return has_entry(path) or _is_among(self.shells, path) or _is_among(self.runs_anything, path)

    def _is_one_liner(self, path: str, args: tuple[str, ...]) -> bool:
        """Whether a user's own file is given what an interpreter is given, or the name of one, as busybox is."""
        if path.startswith(_NAMED_BY_ROOT) or not args:
            return False
        if self._runs_anything(args[0]):
            return True
        for option, word in pairwise((*args, "")):
            if not option.startswith("-"):
                return False
            if _CODE.fullmatch(f"{option[:64]}\0{word[:_LONGEST]}"):
                return True
        return False

    def _find_lasting_path(self, path: str) -> str | None:
        """The pattern for the path at any time; None: the path is no such one."""
        found = _any_of(self.new_paths).fullmatch(path)
        return "*".join(escape_pattern(part) for part in found.groups() if part is not None) if found else None

    def _find_starter(self, process: Process) -> str | None:
        """The program whose worker this is; None: it is no worker, or its starter would not narrow a rule.

        An interpreter below a home counts as a starter, since its scripts have no other name (conda's, say).
        """
        told = " ".join(_find_told(process))[:_LONGEST]
        fitting = (each for each in self.worker if _is_among((each.runs,), process.executable))
        worker = next((each for each in fitting if _any_of(each.told).fullmatch(told)), None)
        if worker is None:
            return None
        between = (worker.runs, *self.shells) if worker.below_shells else (worker.runs,)
        nearest = next((parent for parent in process.parents if not _is_among(between, parent)), "")
        alike = (parent for parent in process.parents[:1] if _is_among((worker.runs,), parent))
        return next((each for each in (nearest, *alike) if self._is_starter(each, process)), None)

    def _is_starter(self, path: str, process: Process) -> bool:
        """Shells, and interpreters that run no script, start anything, and init is an ancestor of all."""
        starts_anything = find_interpreter(path) or _is_among(self.shells + self.starts_anything, path)
        return path.startswith("/") and path != process.parents[-1] and not starts_anything

    def check(self) -> None:
        """Raises BadEntry where a pattern is no regular expression."""
        names = (self.runs_anything, self.shells, self.starts_anything, self.counts_ports, self.new_paths)
        of_workers = (
            (pattern, number) for number, each in enumerate(self.worker) for pattern in (each.runs, *each.told)
        )
        for pattern, worker in chain(((pattern, None) for pattern in chain(*names)), of_workers):
            try:
                re.compile(pattern)
            except re.error as error:
                raise BadEntry(f"{pattern!r} is no regular expression: {error.msg}", pattern, worker) from None


NO_CATALOGUE = Catalogue()
KEYS = f"{', '.join(Catalogue.__struct_fields__)}; of a worker {', '.join(Worker.__struct_fields__)}"


def parse_catalogue(values: Mapping[str, Any]) -> Catalogue:
    """The catalogue of what a file says. Raises BadEntry."""
    try:
        catalogue = msgspec.convert(values, Catalogue)
    except msgspec.ValidationError as error:
        place = _PLACE.fullmatch(str(error))
        problem, worker, key = place.groups() if place else (str(error), None, "")
        field = _FIELD.search(problem)
        word = key or (field[1] if field else "")
        said = "no such key" if "unknown" in problem else "missing" if "missing" in problem else problem.lower()
        raise BadEntry(f"{word}: {said}", word, int(worker) if worker else None) from None
    catalogue.check()
    return catalogue


@lru_cache(maxsize=256)
def _any_of(patterns: tuple[str, ...], end: str = "") -> re.Pattern[str]:
    return re.compile(f"(?:{'|'.join(f'(?:{pattern})' for pattern in patterns) or '(?!)'}){end}", re.DOTALL)


def _is_among(names: tuple[str, ...], path: str) -> bool:
    return _any_of(names, _VERSION).fullmatch(path.rpartition("/")[2]) is not None


def _find_told(process: Process) -> Sequence[str]:
    """What an interpreter is told to run: its arguments from the script, -c, -m or -e on; empty: there is none."""
    args = process.args
    if process.run_by is not None:
        return (process.program, *args)
    position = 0
    while position < len(args):
        word = args[position]
        if word in _TELLS or not word.startswith("-"):
            return args[position:]
        position += 2 if word in _WITH_VALUE else 1
    return ()
