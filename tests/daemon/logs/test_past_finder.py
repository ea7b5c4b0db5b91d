"""The past of questions is looked for beside the loop, once for all that open together, and told by an event."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from tests.store.traffic.rows import make_row
from tests.view.sample_prompts import CURL, connection_of
from tinysnitch.core.engine.events import PastFound
from tinysnitch.core.engine.records import PromptOpened
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.past import Past, PastQuestion
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import Decision
from tinysnitch.daemon.logs import past_finder
from tinysnitch.daemon.logs.past_finder import PastFinder
from tinysnitch.daemon.logs.traffic_recorder import TrafficRecorder
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.kernel.system.offload import NoThread
from tinysnitch.store.traffic.traffic_reader import TrafficReader
from tinysnitch.store.traffic.traffic_store import TrafficStore

CONNECTION = connection_of()
ASKED = Decision(verdict=Verdict.ASK, reason="no rule matches")


class SmallReader(TrafficReader):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.batches: list[list[int]] = []

    def find_pasts(self, questions: Sequence[PastQuestion]) -> dict[int, Past]:
        self.batches.append([question.prompt_id for question in questions])
        return super().find_pasts(questions)


class Scene:
    """A finder whose thread works when the test says so, or at once. Make it in a running loop."""

    def __init__(self, folder: Path, *, waits: bool = False) -> None:
        self.reader = SmallReader(folder / "sums")
        self.recorder = TrafficRecorder(TrafficStore(folder / "sums"), lambda _work, _done: None)
        self.told: list[PastFound] = []
        self.jobs: list[Callable[[], object]] = []
        self.is_full = False
        self._waits = waits
        self.finder = PastFinder(self._hand_over, self.recorder, self.reader, self._begin, self._tell)

    def _hand_over(self) -> None:
        """A decision of a moment ago, that no file has yet."""
        self.recorder.take([make_row(read_instant().wall_s, program=CURL.program, uid=CURL.uid, name=CONNECTION.name)])

    def _begin(self, work: Callable[[], Any], done: Callable[[Any], object]) -> None:
        if self.is_full:
            raise NoThread
        self.jobs.append(lambda: done(work()))
        if not self._waits:
            self.jobs.pop()()

    def _tell(self, *events: PastFound) -> None:
        self.told += events

    def open(self, *prompt_ids: int, connection: Connection = CONNECTION) -> None:
        for prompt_id in prompt_ids:
            self.finder.note(PromptOpened(prompt_id, connection, ASKED, 0.0))

    async def look(self) -> None:
        await asyncio.sleep(past_finder.AFTER_S + 0.05)


def test_questions_that_open_together_are_looked_up_at_once_with_what_was_just_decided(tmp_path: Path) -> None:
    async def run() -> None:
        scene = Scene(tmp_path)
        with closing(scene.recorder):
            scene.open(1, 2)
            assert (scene.told, scene.reader.batches) == ([], [])  # the questions are shown meanwhile
            await scene.look()
            assert scene.reader.batches == [[1, 2]]
            assert [(each.prompt_id, each.past.allowed) for each in scene.told] == [(1, 1), (2, 1)]

    asyncio.run(run())


def test_one_look_up_is_under_way_and_of_what_comes_meanwhile_a_bounded_number_waits(tmp_path: Path) -> None:
    async def run() -> None:
        scene = Scene(tmp_path, waits=True)
        with closing(scene.recorder):
            scene.open(0)
            await scene.look()
            scene.open(*range(1, 2 * past_finder.MAX_WAITING))
            await scene.look()
            assert len(scene.jobs) == 1
            scene.jobs.pop()()
            await scene.look()
            scene.jobs.pop()()
            assert scene.reader.batches == [[0], [*range(1, past_finder.MAX_WAITING + 1)]]
            scene.open(999)
            scene.finder.stop()
            await scene.look()
            assert not scene.jobs

    asyncio.run(run())


def test_without_a_thread_the_next_question_tries_again(tmp_path: Path) -> None:
    async def run() -> None:
        scene = Scene(tmp_path)
        with closing(scene.recorder):
            scene.is_full = True
            scene.open(1)
            await scene.look()
            scene.is_full = False
            scene.open(2)
            await scene.look()
            assert [each.prompt_id for each in scene.told] == [2]

    asyncio.run(run())


def test_questions_to_resolvers_of_who_comes_in_and_of_private_programs_have_no_past(tmp_path: Path) -> None:
    async def run() -> None:
        scene = Scene(tmp_path)
        with closing(scene.recorder):
            scene.open(1, connection=replace(CONNECTION, asked_name="shop.test"))
            inbound = replace(CONNECTION.flow, direction=Direction.INBOUND)
            scene.open(3, connection=replace(CONNECTION, flow=inbound))
            scene.recorder.private = frozenset({CURL.program})
            scene.open(2)
            await scene.look()
            assert scene.reader.batches == []

    asyncio.run(run())


def test_a_history_that_cannot_be_read_costs_the_line_alone(tmp_path: Path) -> None:
    async def run() -> None:
        scene = Scene(tmp_path)
        with closing(scene.recorder):
            (tmp_path / "sums").mkdir()
            scene.open(1)
            await scene.look()
            assert (scene.told, scene.reader.batches, scene.recorder.lost) == ([], [[1]], 1)

    asyncio.run(run())
