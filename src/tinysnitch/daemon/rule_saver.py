"""Saves the rules that answers make: lasting ones in the rules file, temporary ones in the state folder.

One that cannot be written stays in force until it can be, or the daemon ends; and that is said.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import assert_never

from tinysnitch.core.commands import AppendRule, KeepTemporaryRules
from tinysnitch.core.errors import SnitchError
from tinysnitch.core.events import DataLost
from tinysnitch.core.rule import Rule
from tinysnitch.daemon.control_clients import ControlClients
from tinysnitch.daemon.failures import Failures
from tinysnitch.daemon.single_timer import SingleTimer
from tinysnitch.store.rules_file import RulesFile
from tinysnitch.store.temporary_rules import TemporaryRules

AGAIN_S = 30.0  # how often a rule is tried that could not be written
NOT_SAVED = "rules not saved"
SAVED = "the rules that could not be saved are saved now"


class RuleSaver:
    def __init__(
        self,
        rules_file: RulesFile,
        temporary_rules: TemporaryRules,
        *,
        clients: ControlClients,
        failures: Failures,
        report: Callable[[DataLost], object],
    ) -> None:
        """`report` is called in a turn of the loop to come: a rule is saved in the middle of the engine's commands."""
        self._rules_file = rules_file
        self._temporary_rules = temporary_rules
        self._clients = clients
        self._failures = failures
        self._report = report
        self._unsaved_temporary: tuple[Rule, ...] | None = None  # all of them; () where those of before must go
        self._timer = SingleTimer(self._save_again)

    @property
    def unsaved(self) -> int:
        """Rules that would not outlive the daemon."""
        return len(self._rules_file.unsaved) + len(self._unsaved_temporary or ())

    def save(self, command: AppendRule | KeepTemporaryRules) -> None:
        try:
            match command:
                case AppendRule(rule):
                    self._rules_file.save(rule)
                case KeepTemporaryRules(rules):
                    self._unsaved_temporary = rules
                    self._save_temporary()
                case _:
                    assert_never(command)
        except SnitchError as error:
            self._tell(error)
        except Exception:
            self._tell(SnitchError("the daemon failed", "its log tells why; please report it"))
            raise

    def stop(self) -> None:
        """The last moment to try, and nobody is there any more to be told."""
        self._timer.cancel()
        self._save_rest()

    def _tell(self, error: SnitchError) -> None:
        asyncio.get_running_loop().call_soon(self._report, DataLost(f"rule not saved: {error}", 1))
        self._clients.push_unsaved(error)
        self._timer.start(AGAIN_S)

    def _save_temporary(self) -> None:
        if self._unsaved_temporary is not None:
            self._temporary_rules.replace(self._unsaved_temporary)
            self._unsaved_temporary = None

    def _save_again(self) -> None:
        """By the clock, and not when the file changes: whoever changes it might not be done."""
        if self._is_done():  # what could not be saved was removed
            return
        self._save_rest()
        if self._is_done():
            self._clients.push_notice(SAVED)
        else:
            self._timer.start(AGAIN_S)

    def _is_done(self) -> bool:
        return not self._rules_file.unsaved and self._unsaved_temporary is None

    def _save_rest(self) -> None:
        for save in (self._rules_file.save_again, self._save_temporary):
            self._failures.attempt(_do_if_possible, save)


def _do_if_possible(save: Callable[[], None]) -> None:
    with suppress(SnitchError):
        save()
