"""The file of temporary rules that outlive the daemon: those that end at a time of the clock, in the state folder.

It is written when an answer is given, and verdicts wait meanwhile. A sync may take a tenth of a second, so nothing is
synced. Instead a last line tells that the file is whole: half of a rule could allow more.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import format_rule, parse_rules
from tinysnitch.store.locks import make_state_folder
from tinysnitch.store.whole_file import errors_named, read_text, remove_unfinished, replace_text

_HEADER = "# Temporary rules, written by tinysnitchd. Lasting ones belong in the rules file.\n"
_END = "# That is all.\n"
_MODE = 0o600

_log = logging.getLogger(__name__)


class TemporaryRules:
    def __init__(self, path: Path) -> None:
        self.path = path

    def find_moment(self, wall_s: float) -> float:
        """The wall clock, or the time at which the file was written if that is later: then the clock was set back, and
        a rule must not last longer than it had left at that time."""
        try:
            return max(wall_s, self.path.stat().st_mtime)
        except OSError:
            return wall_s

    def read(self, wall_s: float) -> tuple[Rule, ...]:
        """The rules that have not ended. If the file cannot be read they are forgotten: people are asked again."""
        remove_unfinished(self.path)
        if self.path.exists() and not self.path.is_file():
            self._move_aside()
            return ()
        try:
            text = read_text(self.path)
        except FileNotFoundError:
            return ()
        except OSError as error:  # a bad disk must not keep the firewall from starting
            _log.warning("%s cannot be read: %s; its temporary rules are forgotten", self.path, error.strerror)
            return ()
        if not text.endswith(_END):  # after a power cut, or from an earlier build
            _log.warning("%s was not written to its end: its temporary rules are forgotten", self.path)
            return ()
        rules, errors = parse_rules(text, str(self.path))
        if errors:  # from a later build, perhaps
            _log.warning("%s, and %d more: such temporary rules are forgotten", errors[0], len(errors) - 1)
        return tuple(rule for rule in rules if rule.until_s is not None and wall_s < rule.until_s)

    def _move_aside(self) -> None:
        """Rename what is no regular file (a folder, say): no rules could be kept there."""
        aside = self.path.with_name(f"{self.path.name}.broken")
        try:
            self.path.replace(aside)
        except OSError as error:
            _log.warning("%s is no regular file and cannot be moved aside: %s", self.path, error)
        else:
            _log.warning("%s was no regular file; it is now %s", self.path, aside)

    def replace(self, rules: Iterable[Rule]) -> None:
        """Write these rules, except those bound to a process: their line cannot say that, and would allow more."""
        lines = [format_rule(rule) + "\n" for rule in rules if rule.exec_id is None]
        with errors_named(self.path):
            make_state_folder(self.path.parent)
            replace_text(self.path, "".join((_HEADER, *lines, _END)), _MODE, is_synced=False)
