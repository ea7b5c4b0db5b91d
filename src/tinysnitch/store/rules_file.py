"""The rules file: read whole, changed a line at a time, and watched. Comments and other lines stay as they are."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tinysnitch.core.errors import RuleSyntaxError, SnitchError
from tinysnitch.core.rule import Rule
from tinysnitch.core.rule_text import format_rule, parse_rule, parse_rules
from tinysnitch.store.file_stamp import Stamp, read_stamp
from tinysnitch.store.file_watch import watch_file
from tinysnitch.store.text_file import errors_named, locked, read_text, replace_text

STARTER = """\
# Rules of tinysnitch, one a line; their order does not matter, the narrower rule wins, then deny.
#
# verdict  [qualifier=value ...]  remote  port  protocol  [program  [args ...]]
#
# allow  google.com          443   tcp      /usr/bin/curl
# deny   *.doubleclick.net   -     -
# allow  192.168.1.0/24      8000  tcp-src  /usr/bin/python3 -m http.server
#
# What is not here is asked about. Check this file with: tinysnitch rules check FILE

# this machine with itself
allow  localhost   -   -
allow  localhost   -   -src

# names, from the resolvers that this machine is set up with
allow  @resolvers  53  udp
allow  @resolvers  53  tcp
"""


_GONE, _GONE_HINT = "the file is gone", "write it again; an empty one will do"


class LoadedRules(msgspec.Struct, frozen=True):
    rules: tuple[Rule, ...]
    errors: tuple[RuleSyntaxError, ...]


class RulesFile:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._loaded: tuple[Stamp, LoadedRules] | None = None  # and of which state of the file

    def ensure_exists(self) -> bool:
        """Create the file with the starter set when there is none; whether it was made."""
        with errors_named(self.path):
            if self.path.exists():
                return False
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_text(self.path, STARTER)
        return True

    def read(self) -> LoadedRules:
        """The file as it is now, parsed once for each state of it.

        Errors are part of the value, the missing file too: the caller keeps its rules.
        """
        stamp = self._find_stamp()  # before the text: what changes meanwhile is another state
        if self._loaded and self._loaded[0] == stamp:
            return self._loaded[1]
        loaded = self._load()
        self._loaded = (stamp, loaded) if stamp and stamp.is_settled() else None
        return loaded

    def _load(self) -> LoadedRules:
        text = self._read_text()
        if text is None:
            return LoadedRules((), (RuleSyntaxError(str(self.path), 1, 1, _GONE, _GONE_HINT),))
        rules, errors = parse_rules(text, str(self.path))
        return LoadedRules(tuple(rules), tuple(errors))

    def _find_stamp(self) -> Stamp | None:
        try:
            return read_stamp(self.path)
        except OSError:
            return None

    def append(self, rule: Rule) -> bool:
        """Add the rule as a line of its own; False when it is there already.

        Raises SnitchError when the file is gone: one with this rule alone would end all those that hold.
        """
        with self._changing():
            loaded = self.read()
            if rule in loaded.rules:
                return False
            text = self._read_text()
            if text is None:
                raise self._gone()
            gap = "" if not text or text.endswith("\n") else "\n"
            replace_text(self.path, f"{text}{gap}{format_rule(rule)}\n")
            self._note_appended(loaded, rule)
        return True

    def _note_appended(self, loaded: LoadedRules, rule: Rule) -> None:
        """What is in the file now is known: of many rules, reading them again would hold verdicts up."""
        stamp = self._find_stamp()
        if stamp and not loaded.errors:
            self._loaded = (stamp, LoadedRules((*loaded.rules, rule), ()))

    def remove(self, line: str) -> bool:
        """Take out every line that says the same rule; False when there is none. Raises RuleSyntaxError."""
        rule = parse_rule(line)
        if self._find_stamp() is None:
            return False
        with self._changing():
            lines = (self._read_text() or "").split("\n")
            kept = [other for other in lines if not _says(other, rule)]
            if len(kept) == len(lines):
                return False
            replace_text(self.path, "\n".join(kept))
        return True

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with errors_named(self.path):
            try:
                with locked(self.path):
                    yield
            except FileNotFoundError:  # its folder too
                raise self._gone() from None

    def _gone(self) -> SnitchError:
        return SnitchError(f"{self.path}: {_GONE}", _GONE_HINT)

    def watch(self) -> AsyncIterator[None]:
        """One item as soon as the watch stands, then one for each time that the file may have changed."""
        return watch_file(self.path)

    def _read_text(self) -> str | None:
        with errors_named(self.path):
            try:
                return read_text(self.path)
            except FileNotFoundError:
                return None


def _says(line: str, rule: Rule) -> bool:
    try:
        return parse_rule(line.removesuffix("\r")) == rule
    except RuleSyntaxError:
        return False
