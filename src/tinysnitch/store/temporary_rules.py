"""Temporary rules that outlive the daemon: those with an end on the clock, in the state folder.

They are written while an answer is given, and a disk that syncs may take a tenth of a second for each: verdicts would
wait. So nothing is synced, and the last line says that the file is whole: a rule that was cut off could mean more.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

from tinysnitch.core.rule import Rule
from tinysnitch.core.rule_text import format_rule, parse_rules
from tinysnitch.store.text_file import errors_named, read_text, remove_unfinished, replace_text

_HEADER = "# Temporary rules, written by tinysnitchd. Lasting ones belong in the rules file.\n"
_END = "# That is all.\n"
_MODE = 0o600

_log = logging.getLogger(__name__)


class TemporaryRules:
    def __init__(self, path: Path) -> None:
        self.path = path

    def find_moment(self, wall_s: float) -> float:
        """The wall clock, or where that is later what it was when they were written: it was set back since, and what an
        hour was left of then has no more than that left now."""
        try:
            return max(wall_s, self.path.stat().st_mtime)
        except OSError:
            return wall_s

    def read(self, wall_s: float) -> tuple[Rule, ...]:
        """Those that have not ended. What cannot be read is worth no trouble: people are asked again."""
        remove_unfinished(self.path)
        if self.path.exists() and not self.path.is_file():
            self._move_aside()
            return ()
        try:
            text = read_text(self.path)
        except FileNotFoundError:
            return ()
        except OSError as error:  # a bad disk must not keep the firewall from its start
            _log.warning("%s cannot be read: %s; its temporary rules are forgotten", self.path, error.strerror)
            return ()
        if not text.endswith(_END):  # by a power cut, or an earlier build
            _log.warning("%s was not written to its end: its temporary rules are forgotten", self.path)
            return ()
        rules, errors = parse_rules(text, str(self.path))
        if errors:  # a later build's, perhaps
            _log.warning("%s, and %d more: such temporary rules are forgotten", errors[0], len(errors) - 1)
        return tuple(rule for rule in rules if rule.until_s is not None and wall_s < rule.until_s)

    def _move_aside(self) -> None:
        """A folder, say: no rules are in it, and none could be kept."""
        aside = self.path.with_name(f"{self.path.name}.broken")
        try:
            self.path.replace(aside)
        except OSError as error:
            _log.warning("%s is no regular file and cannot be moved aside: %s", self.path, error)
        else:
            _log.warning("%s was no regular file; it is now %s", self.path, aside)

    def replace(self, rules: Iterable[Rule]) -> None:
        """Keep these. A rule bound to a process is left out: its line could not say so, and would mean more."""
        lines = [format_rule(rule) + "\n" for rule in rules if rule.exec_id is None]
        with errors_named(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_text(self.path, "".join((_HEADER, *lines, _END)), _MODE, is_synced=False)
