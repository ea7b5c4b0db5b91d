"""A settings file in TOML as it is now: its values, and on which line a key stands, so that a mistake can be named.

Only a file that root alone can change counts. One that is not there is the same as an empty one.
"""

import re
import tomllib
from pathlib import Path
from shlex import quote
from typing import Any

import msgspec

from tinysnitch.core.model.errors import LineError, SnitchError
from tinysnitch.store.whole_file import errors_named, read_guarded

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")  # ends what tomllib says
_TABLE = re.compile(r"\s*\[\[?\s*([^\]]*?)\s*\]")


class TomlFile(msgspec.Struct, frozen=True):
    path: Path
    values: dict[str, Any] = {}
    text: str = ""
    error: LineError | None = None  # why nothing of the file counts

    def error_at(self, key: str, problem: str, hint: str = "", *, table: str = "") -> LineError:
        """What is wrong with a key, or with its value. Without a table it is a key of the top level."""
        return LineError(str(self.path), self._find_line(key, table), 0, problem, hint)

    def _find_line(self, key: str, table: str) -> int:
        """The line that begins with the key, in the first table of this name; 0 if the key is written another way."""
        here, begins = "", re.compile(rf"""\s*(["']?){re.escape(key)}\1\s*[=.]""")
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := _TABLE.match(line):
                here = header[1]
            if (here == table and begins.match(line)) or (not table and header and here == key):
                return number
        return 0


def read_toml(path: Path) -> TomlFile:
    """Read the file. What is wrong with it as a whole is its `error`; this raises nothing."""
    try:
        with errors_named(path):
            raw = read_guarded(path)
    except SnitchError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return TomlFile(path)
        problem = str(error).removeprefix(f"{path}: ")
        return TomlFile(path, error=LineError(str(path), 0, 0, problem, error.hint))
    if raw is None:
        hint = f"chown root: {quote(str(path))} && chmod go-w {quote(str(path))}"
        return TomlFile(path, error=LineError(str(path), 0, 0, "others than root can change it", hint))
    return parse_toml(path, raw)


def parse_toml(path: Path, raw: bytes) -> TomlFile:
    try:
        text = raw.decode("utf-8-sig")
        return TomlFile(path, tomllib.loads(text), text)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return TomlFile(path, error=LineError(str(path), line, 0, "not UTF-8", "save it as UTF-8"))
    except tomllib.TOMLDecodeError as error:
        return TomlFile(path, error=_error_of(path, str(error), text))


def _error_of(path: Path, said: str, text: str) -> LineError:
    place = _AT.search(said)
    line, column = (int(place[1]), int(place[2])) if place and place[1] else (len(text.splitlines()), 0)
    problem = said[: place.start()] if place else said
    hint = 'a line is key = value, such as timeout = 30 or log = "json"; text stands in quotes'
    return LineError(str(path), line, column, problem[:1].lower() + problem[1:], hint)
