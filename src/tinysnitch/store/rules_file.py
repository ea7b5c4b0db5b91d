"""The rules file: read whole, and changed line by line. Comments and all other lines stay as they are."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import msgspec

from tinysnitch.core.model.errors import RuleSyntaxError, SnitchError
from tinysnitch.core.model.undecoded import BYTE_ORDER_MARK, text_of
from tinysnitch.core.rules.note import note_of, with_note
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_file import RuleFileParser
from tinysnitch.core.rules.rule_line import format_rule, lines_of, parse_line, parse_rule
from tinysnitch.store.file_stamp import Stamp, read_stamp
from tinysnitch.store.locks import PATIENCE_S, LockHeld, locked
from tinysnitch.store.whole_file import errors_named, is_being_written, read_bytes, replace_text

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
_MODE = 0o600  # rules hold arguments of programs, and these may hold secrets


class _Overtaken(Exception):
    """The file changed after we read it, and before we replaced it."""


class NoFolder(SnitchError):
    """The rules file cannot be made since its folder does not exist: most likely a mistyped path."""

    exit_code = 2


class LoadedRules(msgspec.Struct, frozen=True):
    rules: tuple[Rule, ...]
    errors: tuple[RuleSyntaxError, ...]


def do_here(_path: Path, change: Callable[[], bool]) -> bool:
    return change()


class RulesFile:
    def __init__(self, path: Path, do: Callable[[Path, Callable[[], bool]], bool] = do_here) -> None:
        """`do` carries out a change of the file at the path, maybe in a thread. It may raise SnitchError before the
        change is done."""
        self.path = path
        self._do = do
        self._parser = RuleFileParser(str(path))
        self._known: Stamp | None = None  # of the file as we wrote it, or as take_edit() last saw it
        self._unsaved: dict[Rule, str] = {}  # rules in force that could not be written, and their lines
        self._is_starter_held = False
        self._patience_s = PATIENCE_S  # with the lock, while verdicts wait; none after waiting in vain

    def ensure_exists(self) -> bool:
        """Create the file with the starter set when there is none; whether it was created. Raises SnitchError."""
        with errors_named(self.path):
            if self.path.exists():
                return False
            if not self.path.parent.is_dir():
                problem = f"{self.path} cannot be made: there is no folder {str(self.path.parent)!r}"
                raise NoFolder(problem, "name a rules file in a folder that is there")
            replace_text(self.path, STARTER, _MODE)
        return True

    def hold_starter(self) -> None:
        """As long as there is no file, read the starter set instead; the first change creates the file with it."""
        self._is_starter_held = True

    def read(self) -> LoadedRules:
        """Read the file as it is now. Raises SnitchError if it cannot be read.

        Errors in it, or that it does not exist, are part of the value: the caller then keeps the rules in force.
        """
        self._is_starter_held &= self._find_stamp() is None  # once there was a file, a missing one is an error
        raw = self._read_bytes()
        if raw is None:
            return LoadedRules((), (RuleSyntaxError(str(self.path), 1, 1, _GONE, _GONE_HINT),))
        return LoadedRules(*self._parser.parse(text_of(raw)))

    def take_edit(self) -> bool:
        """Whether others have written the file since the last call."""
        known, self._known = self._known, self._find_stamp()
        return self._known != known

    def _find_stamp(self) -> Stamp | None:
        try:
            return read_stamp(self.path)
        except OSError:
            return None

    def lines(self) -> tuple[tuple[str, Rule], ...]:
        """The lines that were rules in the last text without errors that was read, and the rule on each."""
        return self._parser.lines()

    def append(self, rule: Rule, note: str = "") -> bool:
        """Add the rule as a line of its own, with this comment; False when it is there already.

        Raises SnitchError, also when the file is gone: a new one with this rule alone would end all others in force.
        """
        return self.append_all({rule: note})

    def append_all(self, notes: Mapping[Rule, str]) -> bool:
        """Add each rule, with the comment that it has here, in one write; False when all are there already. Raises
        SnitchError."""
        lines = {rule: with_note(_line_of(rule), note) for rule, note in notes.items()}
        return self._change(partial(self._append, lines))

    def find_note(self, rule: Rule) -> str:
        """The comment behind this rule; "" if there is none, or no such rule. Raises SnitchError."""
        return note_of(self._find_line(rule) or "")

    def move_to(self, other: "RulesFile", rule: Rule) -> bool:
        """Move the line of this rule, comment and all, to the other file; False when there is none. Between the two
        writes both files have it. Raises SnitchError."""
        line = self._find_line(rule)
        if line is None:
            return False
        other._change(partial(other._append, {rule: line.strip()}))
        return self.remove(line)

    def _find_line(self, rule: Rule) -> str | None:
        return next((line for line in lines_of(self._get_text()) if self._parser.parse_line(line) == rule), None)

    @property
    def unsaved(self) -> tuple[Rule, ...]:
        """Rules that are in force but could not be written yet."""
        return tuple(self._unsaved)

    def save(self, rule: Rule, note: str = "") -> None:
        """Append a rule that is in force already. If that fails it stays in `unsaved`. Raises SnitchError."""
        line = _line_of(rule)  # one that no line can say would keep the others from being saved
        self._unsaved[rule] = with_note(line, note)
        self.save_again()

    def save_again(self) -> None:
        """Append the unsaved rules. Raises SnitchError."""
        if self._unsaved:
            self._change(partial(self._append, self._unsaved.copy()))
            self._unsaved.clear()

    def _append(self, lines: dict[Rule, str]) -> bool:
        before, text = self._find_stamp(), self._get_text()
        there, _errors = self._parser.parse(text)
        new = [line for rule, line in lines.items() if rule not in there]
        if not new:
            return False
        gap = "" if not text or text.endswith("\n") else "\n"
        self._replace("\n".join([text + gap + new[0], *new[1:], ""]), before)
        return True

    def _replace(self, text: str, before: Stamp | None) -> None:
        """Replace the text. Raises _Overtaken if the file is no more in the state `before`.

        If an editor has written the file since we did, that will be reported as any edit.
        """
        written = replace_text(self.path, text, _MODE, check=partial(self._check_state, before))
        stamp = self._find_stamp()
        if stamp and stamp.is_of(written):
            self._known = stamp

    def _check_state(self, before: Stamp | None) -> None:
        if self._find_stamp() != before:
            raise _Overtaken

    def remove(self, *lines: str) -> bool:
        """Remove every line that says one of these rules, and the rules from `unsaved`; False when there was none.

        Raises RuleSyntaxError, and SnitchError, also when the file is gone: it may have the rules when it is back.
        """
        rules = frozenset(map(parse_rule, lines))
        is_removed = self._change(partial(self._remove, rules))
        was_unsaved = any([self._unsaved.pop(rule, None) for rule in rules])
        return was_unsaved or is_removed

    def _remove(self, rules: frozenset[Rule]) -> bool:
        before, text = self._find_stamp(), self._get_text()
        mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
        lines = text.removeprefix(mark).split("\n")
        parsed = ((line, self._parser.parse_line(line)) for line in lines)
        kept = [line for line, rule in parsed if not isinstance(rule, Rule) or rule not in rules]
        if len(kept) == len(lines):
            return False
        self._replace(mark + "\n".join(kept), before)
        return True

    def _change(self, change: Callable[[], bool]) -> bool:
        return self._do(self.path, partial(self._change_now, change))

    def _change_now(self, change: Callable[[], bool]) -> bool:
        """Make a change under the lock. Editors take no lock: when one has written the file since we read it we start
        over, and while one has it open for writing we refuse."""
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
            except FileNotFoundError:  # its folder is gone
                raise self._gone() from None

    def _gone(self) -> SnitchError:
        return SnitchError(f"{self.path}: {_GONE}", _GONE_HINT)

    def _get_text(self) -> str:
        raw = self._read_bytes()
        if raw is None:
            raise self._gone()
        return text_of(raw)

    def _read_bytes(self) -> bytes | None:
        with errors_named(self.path):
            try:
                return read_bytes(self.path)
            except FileNotFoundError:
                return STARTER.encode() if self._is_starter_held else None


def _line_of(rule: Rule) -> str:
    """The line of a rule. Raises SnitchError if it would not be read back as the same rule, and must not be written."""
    line = format_rule(rule)
    if parse_line(line, "", 1) != rule:
        raise SnitchError(f"no line can say this rule: {line}", "please report this as a bug of tinysnitch")
    return line
