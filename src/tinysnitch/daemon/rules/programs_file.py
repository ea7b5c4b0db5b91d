"""The catalogue of programs that proposals are made with: what the package has, and what root adds in programs.toml.

A file with a mistake changes nothing: what was read before stays, and people are told the line.
"""

import asyncio
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tinysnitch.core.engine.events import CatalogueLoaded, DataLost
from tinysnitch.core.model.errors import LineError
from tinysnitch.core.prompts import catalogue as package
from tinysnitch.core.prompts.catalogue import KEYS, BadEntry, Catalogue, parse_catalogue
from tinysnitch.daemon.control.clients import ControlClients
from tinysnitch.daemon.scheduling.follow import follow
from tinysnitch.kernel.system.offload import Offload
from tinysnitch.store.file_watch import watch_file
from tinysnitch.store.toml_file import TomlFile, read_toml

PROGRAMS = "programs.toml"
HINT = (
    f"the keys are {KEYS}; a pattern stands in single quotes, with \\ before a sign that means itself: 'my-tool\\.py'"
)
_PACKAGED = Path(package.__file__).with_name(PROGRAMS)


def read_packaged() -> Catalogue:
    return parse_catalogue(tomllib.loads(_PACKAGED.read_text(encoding="utf-8")))


class ProgramsFile:
    def __init__(
        self, path: Path, clients: ControlClients, feed: Callable[[CatalogueLoaded | DataLost], object]
    ) -> None:
        self.path = path
        self.error: LineError | None = None  # why the file as it is now does not count
        self._packaged = read_packaged()
        self._clients = clients
        self._feed = feed
        self._known = TomlFile(path)  # as it was read last
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(follow(partial(watch_file, self.path, Offload().look), self.read))

    def stop(self) -> None:
        if self._task:
            self._task.cancel()

    def read(self) -> None:
        """Read the file; if it has changed, what it says counts from now on."""
        file = read_toml(self.path)
        if file == self._known:
            return
        self._known, self.error = file, file.error
        try:
            catalogue = parse_catalogue(file.values).join(self._packaged)
        except BadEntry as problem:
            self.error = LineError(str(self.path), find_line(file.text, problem), 0, str(problem), HINT)
        if self.error:
            text = f"{self.error}, so it changes nothing"
            self._feed(DataLost(f"{text} (hint: {self.error.hint})", 1))
            self._clients.push_notice(text, self.error.hint)
        else:
            self._feed(CatalogueLoaded(catalogue))


def find_line(text: str, bad: BadEntry) -> int:
    """The first line with the word of the entry; for a worker, of those from its header on. 0: no line has the word."""
    lines = list(enumerate(text.splitlines(), 1))
    if bad.worker is not None:
        headers = [number for number, line in lines if line.replace(" ", "").startswith("[[worker]]")]
        lines = [(number, line) for number, line in lines if number >= headers[bad.worker]]
    found = (number for number, line in lines if bad.word in line and not line.lstrip().startswith("#"))
    return next(found, lines[0][0] if bad.worker is not None else 0)
