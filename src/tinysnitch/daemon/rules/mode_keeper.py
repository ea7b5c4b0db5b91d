"""Keeps the mode that somebody set for the next daemon of this boot: a restart does not change when a pause ends, and a
reboot ends it.

If it cannot be written, it holds all the same, and the next daemon asks people; that is told.
"""

import asyncio
from collections.abc import Callable

from tinysnitch.core.engine.events import DataLost
from tinysnitch.core.model.asking_mode import AskingMode
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.system.clock import read_boot_id
from tinysnitch.store.handover_files import KeptMode


class ModeKeeper:
    def __init__(self, file: KeptMode, report: Callable[[DataLost], object]) -> None:
        """`report` is called in a later turn of the loop: a mode is kept in the middle of the engine's commands."""
        self._file = file
        self._report = report
        self._boot_id = read_boot_id()

    def read(self) -> AskingMode:
        return self._file.read(self._boot_id)

    def keep(self, mode: AskingMode) -> None:
        try:
            self._file.replace(self._boot_id, mode)
        except SnitchError as error:
            asyncio.get_running_loop().call_soon(self._report, DataLost(f"mode not saved: {error}", 1))
