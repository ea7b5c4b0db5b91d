"""The rules file: read whole, changed a line at a time. Comments and other lines stay as they are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import msgspec

from tinysnitch.core.errors import RuleSyntaxError, SnitchError
from tinysnitch.core.rule import Rule
from tinysnitch.core.rule_text import BYTE_ORDER_MARK, format_rule, is_blank, parse_rule, parse_rules
from tinysnitch.store.file_lock import PATIENCE_S, LockHeld, locked
from tinysnitch.store.file_stamp import Stamp, read_stamp
from tinysnitch.store.text_file import errors_named, is_being_written, read_text, replace_text

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
allow localhost - -
allow localhost - -src

# names, from the resolvers that this machine is set up with
allow @resolvers 53 udp
allow @resolvers 53 tcp
"""
_GONE, _GONE_HINT = "the file is gone", "write it again; an empty one will do"
_ATTEMPTS = 10


class _Overtaken(Exception):
    """The file is another one than was read."""


class NoFolder(SnitchError):
    """A rules file is to be made where there is no folder: a mistyped path, most likely."""

    exit_code = 2


class LoadedRules(msgspec.Struct, frozen=True):
    rules: tuple[Rule, ...]
    errors: tuple[RuleSyntaxError, ...]


def _do_here(_path: Path, change: Callable[[], bool]) -> bool:
    return change()


class RulesFile:
    def __init__(self, path: Path, do: Callable[[Path, Callable[[], bool]], bool] = _do_here) -> None:
        """`do` makes a change of the file at the path, maybe in a thread, and may raise SnitchError before its end."""
        self.path = path
        self._do = do
        self._loaded: tuple[Stamp, LoadedRules] | None = None  # and of which state of the file
        self._known: Stamp | None = None  # of the state that we wrote, or that take_edit() told of
        self._unsaved: dict[Rule, None] = {}  # a dict for its order
        self._is_starter_held = False
        self._patience_s = PATIENCE_S  # nobody gets a verdict meanwhile: with one that is stuck none is left

    def ensure_exists(self) -> bool:
        """Create the file with the starter set when there is none; whether it was made. Raises NoFolder."""
        with errors_named(self.path):
            if self.path.exists():
                return False
            if not self.path.parent.is_dir():
                problem = f"{self.path} cannot be made: there is no folder {str(self.path.parent)!r}"
                raise NoFolder(problem, "name a rules file in a folder that is there")
            replace_text(self.path, STARTER)
        return True

    def hold_starter(self) -> None:
        """As long as there is no file the starter set is what it says; the first change makes the file with it."""
        self._is_starter_held = True

    def read(self) -> LoadedRules:
        """The file as it is now, parsed once for each state of it.

        Errors are part of the value, the missing file too: the caller keeps its rules.
        """
        stamp = self._find_stamp()  # before the text: what changes meanwhile is another state
        self._is_starter_held &= stamp is None  # once there was a file, that it is gone is an error
        if self._loaded and self._loaded[0] == stamp:
            return self._loaded[1]
        loaded = self._load()
        self._loaded = (stamp, loaded) if stamp and stamp.is_settled() else None
        return loaded

    def take_edit(self) -> bool:
        """Whether others have written the file since this was asked last."""
        known, self._known = self._known, self._find_stamp()
        return self._known != known

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
        return self._append((rule,))

    @property
    def unsaved(self) -> tuple[Rule, ...]:
        """Rules that hold but could not be written yet."""
        return tuple(self._unsaved)

    def save(self, rule: Rule) -> None:
        """Append a rule that holds already; where that fails it is kept in mind. Raises SnitchError."""
        _line_of(rule)  # what no line can say is not to keep others from being saved
        self._unsaved[rule] = None
        self.save_again()

    def save_again(self) -> None:
        """Append what could not be written before. Raises SnitchError."""
        if self._unsaved:
            self._append(self.unsaved)
            self._unsaved.clear()

    def _append(self, rules: tuple[Rule, ...]) -> bool:
        return self._change(partial(self._append_once, rules))

    def _append_once(self, rules: tuple[Rule, ...]) -> bool:
        before, loaded = self._find_stamp(), self.read()
        new = tuple(rule for rule in rules if rule not in loaded.rules)
        if not new:
            return False
        text = self._get_text()
        gap = "" if not text or text.endswith("\n") else "\n"
        lines = "".join(f"{_line_of(rule)}\n" for rule in new)
        self._replace(text + gap + lines, before, loaded, (*loaded.rules, *new))
        return True

    def _replace(self, text: str, before: Stamp | None, loaded: LoadedRules, rules: tuple[Rule, ...]) -> None:
        """What is in the file then is known: of many rules, reading them again would hold verdicts up.

        Unless an editor has written it since, which is to be read as any edit.
        """
        written = replace_text(self.path, text, check=partial(self._check_state, before))
        stamp = self._find_stamp()
        if stamp is None or not stamp.is_of(written):
            return
        self._known = stamp
        if not loaded.errors:
            self._loaded = (stamp, LoadedRules(rules, ()))

    def _check_state(self, before: Stamp | None) -> None:
        if self._find_stamp() != before:
            raise _Overtaken

    def remove(self, line: str) -> bool:
        """Take out every line that says the same rule, and do not save it later; False when there was none.

        Raises RuleSyntaxError, and SnitchError when the file is gone: what it would say when it is back is not known.
        """
        rule = parse_rule(line)
        is_removed = self._change(partial(self._remove_once, rule))
        was_unsaved = rule in self._unsaved
        self._unsaved.pop(rule, None)
        return was_unsaved or is_removed

    def _remove_once(self, rule: Rule) -> bool:
        before, loaded, text = self._find_stamp(), self.read(), self._get_text()
        mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
        lines = text.removeprefix(mark).split("\n")
        kept = _lines_without(rule, lines, loaded)
        if len(kept) == len(lines):
            return False
        left = tuple(other for other in loaded.rules if other != rule)
        self._replace(mark + "\n".join(kept), before, loaded, left)
        return True

    def _change(self, change: Callable[[], bool]) -> bool:
        return self._do(self.path, partial(self._change_now, change))

    def _change_now(self, change: Callable[[], bool]) -> bool:
        """Anew where an editor, which minds no lock, has written the file since it was read; not while one is at it."""
        with self._changing():
            for _ in range(_ATTEMPTS):
                if is_being_written(self.path):
                    break
                with suppress(_Overtaken):
                    return change()
        raise SnitchError(f"{self.path}: something else is writing it", "try again once that is done")

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with errors_named(self.path):
            try:
                with locked(self.path, self._patience_s):
                    self._patience_s = PATIENCE_S
                    yield
            except LockHeld:
                self._patience_s = 0.0
                raise
            except FileNotFoundError:  # its folder too
                raise self._gone() from None

    def _gone(self) -> SnitchError:
        return SnitchError(f"{self.path}: {_GONE}", _GONE_HINT)

    def _get_text(self) -> str:
        text = self._read_text()
        if text is None:
            raise self._gone()
        return text

    def _read_text(self) -> str | None:
        with errors_named(self.path):
            try:
                return read_text(self.path)
            except FileNotFoundError:
                return STARTER if self._is_starter_held else None


def _line_of(rule: Rule) -> str:
    """One that is read back as the same rule: another would make the file one with an error. Raises SnitchError."""
    line = format_rule(rule)
    if not _says(line, rule):
        raise SnitchError(f"no line can say this rule: {line}", "please report this as a bug of tinysnitch")
    return line


def _lines_without(rule: Rule, lines: list[str], loaded: LoadedRules) -> list[str]:
    """Those that do not say the rule. What each says is known where none is wrong: to parse all would take long."""
    if loaded.errors:
        return [line for line in lines if not _says(line, rule)]
    said = iter(loaded.rules)
    return [
        line for line in lines if is_blank(line.removesuffix("\r")) or next(said, None) != rule or not _says(line, rule)
    ]


def _says(line: str, rule: Rule) -> bool:
    try:
        return parse_rule(line.removesuffix("\r")) == rule
    except RuleSyntaxError:
        return False
