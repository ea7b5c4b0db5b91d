"""Answers questions about the sums of traffic: in a thread, since a question may take seconds.

What was counted up to the question is written first, so that the answer has it.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

from msgspec.structs import replace

from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.core.traffic.asked_names import NamesQuestion
from tinysnitch.core.traffic.queries import TrafficQuestion
from tinysnitch.daemon.control.peer import Pause
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.daemon.logs.traffic_recorder import TrafficRecorder
from tinysnitch.daemon.traffic.dns_question_feed import QuestionFeed
from tinysnitch.daemon.traffic.feed import TrafficFeed
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.kernel.system.offload import NoThread, Offload
from tinysnitch.protocol import messages as msg
from tinysnitch.store.traffic.asked_names_reader import NamesAnswer
from tinysnitch.store.traffic.traffic_reader import Answer, TrafficReader
from tinysnitch.store.traffic.traffic_store import Written

MAX_THREADS = 8  # questions at once; a quarter for each user but root

T = TypeVar("T")


class LookingBack:
    def __init__(
        self, feed: TrafficFeed, questions: QuestionFeed, recorder: TrafficRecorder, reader: TrafficReader
    ) -> None:
        self._feed = feed
        self._questions = questions
        self._recorder = recorder
        self._reader = reader
        self._offload = Offload(max_threads=MAX_THREADS)

    def read_history(self, question: TrafficQuestion, right: Right) -> Iterator[msg.Reply | Pause]:
        """Raises SnitchError while iterating."""
        own = replace(question, uid=_uid_within(right, question.uid))
        found: list[Answer] = []
        yield from self._ask(lambda: self._reader.answer(own, read_instant().wall_s), found, right)
        (answer,) = found
        yield from map(msg.HistoryEntry, answer.lines)
        yield msg.HistoryTotal(answer.total)

    def read_names(self, question: NamesQuestion, right: Right) -> Iterator[msg.Reply | Pause]:
        """Raises SnitchError while iterating."""
        own = replace(question, uid=_uid_within(right, question.uid))
        found: list[NamesAnswer] = []
        yield from self._ask(lambda: self._reader.answer_names(own), found, right)
        (answer,) = found
        yield from map(msg.NamesProgram, answer.programs)
        yield from map(msg.NamesAsked, answer.asked)
        yield msg.NamesSum(answer.total)

    def _ask(self, read: Callable[[], T], found: list[T], right: Right) -> Iterator[Pause]:
        """Have `found` hold what `read` returns, once the pause is over. Raises SnitchError."""
        self._feed.hand_over()
        self._questions.hand_over()
        pause, results = Pause(), list[tuple[Written, T | SnitchError]]()

        def work() -> tuple[Written, T | SnitchError]:
            written = self._recorder.write_waiting()
            try:
                return written, read()
            except SnitchError as error:
                return written, error

        def take(result: tuple[Written, T | SnitchError] | None) -> None:
            if result is not None:
                results.append(result)
            pause.end()

        try:
            self._offload.begin(work, take, right.uid)
        except NoThread:
            raise SnitchError("too many questions are being answered", "try again in a moment") from None
        yield pause
        if not results:
            raise SnitchError("the daemon failed at this request", "its log tells more; please report it")
        written, answer = results[0]
        self._recorder.note(written)
        if isinstance(answer, SnitchError):
            raise answer
        found.append(answer)


def _uid_within(right: Right, asked: int | None) -> int | None:
    """Whose rows are told; None: those of all."""
    if right.sees_all:
        return asked
    if asked not in (None, right.uid):
        raise NotPermitted("you see the traffic of your own processes alone", "leave out --user, or run it as root")
    return right.uid
