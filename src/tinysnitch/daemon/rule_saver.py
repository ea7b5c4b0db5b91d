"""Saves the rules that answers make: lasting ones in the rules file, temporary ones in the state folder.

One that cannot be written stays in force until it can be, or the daemon ends; and that is said.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import assert_never

from tinysnitch.core.commands import AppendRule, KeepTemporaryRules
from tinysnitch.core.errors import SnitchError
from tinysnitch.core.events import DataLost
from tinysnitch.daemon.control_server import ControlServer
from tinysnitch.daemon.failures import Failures
from tinysnitch.daemon.single_timer import SingleTimer
from tinysnitch.store.rules_file import RulesFile
from tinysnitch.store.temporary_rules import TemporaryRules

AGAIN_S = 30.0  # how often a rule is tried that could not be written
NOT_SAVED = "rules not saved"


class RuleSaver:
    def __init__(
        self,
        rules_file: RulesFile,
        temporary_rules: TemporaryRules,
        *,
        server: ControlServer,
        failures: Failures,
        report: Callable[[DataLost], object],
    ) -> None:
        """`report` is called in a turn of the loop to come: a rule is saved in the middle of the engine's commands."""
        self._rules_file = rules_file
        self._temporary_rules = temporary_rules
        self._server = server
        self._report = report
        self._unsaved_temporary = 0
        self._timer = SingleTimer(partial(failures.attempt, self._save_again))

    @property
    def unsaved(self) -> int:
        """Rules that would not outlive the daemon."""
        return len(self._rules_file.unsaved) + self._unsaved_temporary

    def save(self, command: AppendRule | KeepTemporaryRules) -> None:
        try:
            match command:
                case AppendRule(rule):
                    self._rules_file.save(rule)
                case KeepTemporaryRules(rules):
                    self._unsaved_temporary = len(rules)
                    self._temporary_rules.replace(rules)
                    self._unsaved_temporary = 0
                case _:
                    assert_never(command)
        except SnitchError as error:
            asyncio.get_running_loop().call_soon(self._report, DataLost(f"rule not saved: {error}", 1))
            self._server.push_unsaved(error)
            self._timer.start(AGAIN_S)

    def stop(self) -> None:
        self._timer.cancel()
        with suppress(SnitchError):  # the last moment to try, and nobody is there any more to be told
            self._rules_file.save_again()

    def _save_again(self) -> None:
        """By the clock, and not when the file changes: whoever changes it might not be done."""
        if not self._rules_file.unsaved:
            return
        try:
            self._rules_file.save_again()
        except SnitchError:
            self._timer.start(AGAIN_S)
        else:
            self._server.push_notice("the rules that could not be saved are in the rules file now")
