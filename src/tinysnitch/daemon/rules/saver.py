"""Saves the rules that answers make: lasting ones in the rules file, temporary ones in the state folder.

If a rule cannot be written it stays in force all the same, people are told, and it is tried again until the end.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import assert_never

from tinysnitch.core.engine.commands import AppendRule, KeepTemporaryRules
from tinysnitch.core.engine.events import DataLost
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.note import made_by
from tinysnitch.core.rules.rule import Rule
from tinysnitch.daemon.control.clients import ControlClients
from tinysnitch.daemon.rules.users import UserNames
from tinysnitch.daemon.scheduling.failures import Failures
from tinysnitch.daemon.scheduling.timers import SingleTimer
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.store.rules_file import RulesFile
from tinysnitch.store.temporary_rules import TemporaryRules

AGAIN_S = 30.0  # how soon rules that could not be written are tried again
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
        """`report` is called in a later turn of the loop: rules are saved in the middle of the engine's commands."""
        self._rules_file = rules_file
        self._temporary_rules = temporary_rules
        self._names = UserNames()
        self._clients = clients
        self._failures = failures
        self._report = report
        self._unsaved_temporary: tuple[Rule, ...] | None = None  # all of them; (): the file must be emptied
        self._timer = SingleTimer(self._save_again)

    @property
    def unsaved(self) -> int:
        """How many rules would be lost if the daemon ended now."""
        return len(self._rules_file.unsaved) + len(self._unsaved_temporary or ())

    def save(self, command: AppendRule | KeepTemporaryRules) -> None:
        try:
            match command:
                case AppendRule(rule, by_uid):
                    self._rules_file.save(rule, made_by(self._names.find(by_uid), read_instant().wall_s))
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
        """Try once more at the end. Nobody is there any more to be told."""
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
        """Try again by the clock, and not when the file changes: its writer may not be done yet."""
        if self._is_done():  # the rules that could not be saved were removed
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
