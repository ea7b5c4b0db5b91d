"""Hands the names that programs asked for to who listens, a second after the first of them.

A question tells the exec id of its program alone. Which program that is, is known from its connections, or asked of the
attributor, after the question has gone on.
"""

from collections.abc import Callable, Sequence

from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.model.process import KERNEL_EXEC_ID, Asker, AttributionSource, program_of, user_of
from tinysnitch.core.model.tables import BoundedTable
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.traffic.asked_names import NameAsked
from tinysnitch.daemon.scheduling.timers import SingleTimer

BATCH_AFTER_S = 1.0
MAX_WAITING = 16_384  # questions of one batch
_PROGRAMS = 4096  # that are remembered

FindProgram = Callable[[int], str | None]  # by exec id


class QuestionFeed:
    def __init__(self, find_program: FindProgram) -> None:
        self.lost = 0  # questions that nobody was told of
        self.listener: Callable[[Sequence[NameAsked]], object] = lambda _asked: None  # it must not wait
        self._find_program = find_program
        self._programs: BoundedTable[int, str] = BoundedTable(_PROGRAMS)  # by exec id
        self._waiting: list[NameAsked] = []
        self._timer = SingleTimer(self.hand_over)

    def note(self, asker: Asker, names: Sequence[str], wall_s: float) -> None:
        """Count questions that were allowed."""
        program = self._name(asker.exec_id)
        for name in names:
            self._add(NameAsked(program, asker.uid, name, wall_s))

    def note_decision(self, record: ConnectionDecided) -> None:
        """Learn which program it is; and count a question that is denied, which is never sent."""
        connection = record.connection
        program, process = program_of(connection.attribution), connection.attribution.process
        if process:
            self._programs.put(process.exec_id, program)
        if connection.asked_name and record.decision.verdict is Verdict.DENY:
            uid = user_of(connection.attribution)
            self._add(NameAsked(program, uid, connection.asked_name, record.wall_s, is_denied=True))

    def hand_over(self) -> None:
        asked, self._waiting = self._waiting, []
        if asked:
            self.listener(asked)

    def stop(self) -> None:
        """At the end: hand the last ones over."""
        self._timer.cancel()
        self.hand_over()

    def _add(self, asked: NameAsked) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self.lost += 1
            return
        self._waiting.append(asked)
        self._timer.start(BATCH_AFTER_S)

    def _name(self, exec_id: int) -> str:
        known = self._programs.find(exec_id)
        if known is None:
            is_kernel = exec_id == KERNEL_EXEC_ID
            known = AttributionSource.KERNEL.value if is_kernel else self._find_program(exec_id)
            known = known or AttributionSource.UNKNOWN.value
            self._programs.put(exec_id, known)
        return known
