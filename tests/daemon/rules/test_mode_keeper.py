"""The mode that somebody set is there after a restart, or that is told."""

import asyncio
from contextlib import closing
from pathlib import Path

from tests.daemon.loop.driver_place import Place, until
from tinysnitch.core.engine.events import ModeSet
from tinysnitch.core.model.asking_mode import ASKING, begin_mode
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.daemon.rules.mode_keeper import ModeKeeper
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.store.handover_files import KeptMode

MODE = begin_mode(Verdict.ALLOW, 600.0, read_instant())


def test_the_next_daemon_goes_on_with_the_mode_until_its_end(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            place.driver.feed(ModeSet(MODE, 0))
            assert place.clients.mode == MODE
            next_keeper = ModeKeeper(KeptMode(tmp_path / "mode"), print)
            assert next_keeper.read() == MODE
            place.driver.feed(ModeSet(ASKING, 0))
            assert next_keeper.read() == place.clients.mode == ASKING

    asyncio.run(run())


def test_that_it_cannot_be_kept_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            (tmp_path / "mode").mkdir()
            place.driver.feed(ModeSet(MODE, 0))
            assert place.engine.mode == MODE
            await until(lambda: "mode not saved: " in place.read_log())

    asyncio.run(run())
