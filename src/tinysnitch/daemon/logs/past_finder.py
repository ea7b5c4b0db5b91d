"""Finds in the history what a question is shown with: how often its program connected to its domain before.

A question never waits for this: it is shown at once, and once more with what was found. Questions that open together
are looked up together, in a thread, while no other such look-up is under way; those that find no room are shown
without. What was decided a moment ago is written first, so that a second try tells of the first one.
"""

from collections.abc import Callable

from tinysnitch.core.engine.events import PastFound
from tinysnitch.core.engine.records import PromptOpened
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.past import Past, PastQuestion
from tinysnitch.core.model.process import program_of, uid_of
from tinysnitch.daemon.logs.traffic_recorder import TrafficRecorder
from tinysnitch.daemon.scheduling.timers import SingleTimer
from tinysnitch.kernel.system.offload import NoThread
from tinysnitch.store.traffic.traffic_reader import TrafficReader
from tinysnitch.store.traffic.traffic_store import Written

AFTER_S = 0.1  # how long a question waits for others to be looked up with
MAX_WAITING = 256

_Found = tuple[Written, dict[int, Past]]
# As that of the recorder (traffic_recorder.py).
Begin = Callable[[Callable[[], _Found], Callable[[_Found | None], object]], object]


class PastFinder:
    def __init__(
        self,
        hand_over: Callable[[], object],
        recorder: TrafficRecorder,
        reader: TrafficReader,
        begin: Begin,
        tell: Callable[..., object],
    ) -> None:
        """`hand_over` gives the recorder what was counted and waits elsewhere. `tell` gets the events."""
        self._hand_over = hand_over
        self._recorder = recorder
        self._reader = reader
        self._begin = begin
        self._tell = tell
        self._waiting: list[PastQuestion] = []
        self._is_looking = False
        self._timer = SingleTimer(self._look)

    def note(self, opened: PromptOpened) -> None:
        """Look for the past of this question, soon. A question to a resolver has none: whom it leads to is not known
        yet. Nor has that of a program that is not kept by name, and of who comes in no sums are kept by domain."""
        connection = opened.connection
        program = program_of(connection.attribution)
        is_outbound = connection.flow.direction is Direction.OUTBOUND and connection.asked_name is None
        if is_outbound and program not in self._recorder.private and len(self._waiting) < MAX_WAITING:
            remote = connection.name or connection.flow.remote
            self._waiting.append(PastQuestion(opened.prompt_id, program, uid_of(connection.attribution), remote))
            self._look_soon()

    def stop(self) -> None:
        self._timer.cancel()
        self._waiting.clear()

    def _look_soon(self) -> None:
        if self._waiting and not self._is_looking:
            self._timer.start(AFTER_S)

    def _look(self) -> None:
        self._hand_over()
        asked, self._waiting = tuple(self._waiting), []

        def work() -> _Found:
            written = self._recorder.write_waiting()
            try:
                return written, self._reader.find_pasts(asked)
            except SnitchError:  # there is no history that can be read, as its own warnings tell
                return written, {}

        try:
            self._begin(work, self._end_look)
        except NoThread:
            return
        self._is_looking = True

    def _end_look(self, found: _Found | None) -> None:
        self._is_looking = False
        if found is not None:
            written, pasts = found
            self._recorder.note(written)
            self._tell(*(PastFound(prompt_id, past) for prompt_id, past in pasts.items()))
        self._look_soon()
