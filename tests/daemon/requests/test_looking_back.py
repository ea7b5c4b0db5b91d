"""Questions about the sums, asked over the socket of a server that goes on meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.daemon.control.raw_client import RawClient, Reply, kinds, talk
from tests.daemon.requests.small_handler import ALICE, ROOT, Comers, RunningServer, running_server
from tests.store.traffic.rows import make_row
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.traffic.queries import TrafficQuestion
from tinysnitch.daemon.logs.traffic_recorder import TrafficRecorder
from tinysnitch.daemon.requests.looking_back import LookingBack
from tinysnitch.daemon.scheduling.failures import Failures
from tinysnitch.daemon.traffic.dns_question_feed import QuestionFeed
from tinysnitch.daemon.traffic.feed import TrafficFeed
from tinysnitch.kernel.system.clock import read_instant
from tinysnitch.kernel.system.offload import Offload
from tinysnitch.protocol.messages import Attach, Hello, ReadHistory, ReadStatus
from tinysnitch.store.traffic.traffic_reader import Answer, TrafficReader
from tinysnitch.store.traffic.traffic_store import TrafficStore

ALL = ReadHistory(TrafficQuestion())


class SlowReader(TrafficReader):
    """Answers once it may."""

    may_answer: threading.Event | None = None
    problem: Exception | None = None

    def answer(self, question: TrafficQuestion, now_s: float) -> Answer:
        if self.may_answer:
            assert self.may_answer.wait(60)
        if self.problem:
            raise self.problem
        return super().answer(question, now_s)


@contextmanager
def serving(folder: Path, *rights: object) -> Iterator[tuple[RunningServer, SlowReader]]:
    path, reader = folder / "sums", SlowReader(folder / "sums")
    with (
        running_server(folder / "socket", Comers(*rights)) as running,  # type: ignore[arg-type]
        closing(TrafficRecorder(TrafficStore(path), Offload().begin)) as recorder,
    ):
        feed = TrafficFeed(Failures())
        feed.listen(recorder.take)
        questions = QuestionFeed(lambda _exec_id: None)
        questions.listener = recorder.take_questions
        running.handler._looking_back = LookingBack(feed, questions, recorder, reader)
        now_s = read_instant().wall_s
        rows = [make_row(now_s), make_row(now_s, 2, uid=1001, program="/other"), make_row(now_s, 4, uid=None)]
        running.call(recorder.take, rows)
        yield running, reader


def lines_of(replies: list[Reply]) -> list[object]:
    assert kinds(replies[-2:]) == ["history_total", "done"]
    return sorted((reply["line"]["what"], reply["line"]["connections"]) for reply in replies[:-2])  # type: ignore[index]


def test_everybody_sees_the_rows_of_their_own_processes(tmp_path: Path) -> None:
    with serving(tmp_path, ROOT, ALICE, ALICE) as (running, _reader):
        assert lines_of(talk(running, ALL)) == [("/other", 2), ("/usr/bin/curl", 5)]
        assert lines_of(talk(running, ALL)) == [("/usr/bin/curl", 1)]
        (refused,) = talk(running, ReadHistory(TrafficQuestion(uid=1001)))
        assert (refused["type"], refused["exit_code"]) == ("refused", 4)


def test_a_question_that_takes_long_holds_up_nobody_and_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, ROOT, ROOT) as (running, reader):
        reader.may_answer = threading.Event()
        with RawClient(running, Hello(), Attach()) as client:
            assert kinds(client.read(2)) == ["welcome", "prompt_shown"]
            client.read(1)
            client.send(ALL, ReadStatus())
            assert kinds(talk(running, ReadStatus())) == ["status", "done"]  # another client
            running.call(running.clients.push_notice, "news", "")
            assert kinds(client.read(1)) == ["notice"]  # before the answer
            reader.may_answer.set()
            replies = client.read(6)
            assert lines_of(replies[:4]) == [("/other", 2), ("/usr/bin/curl", 5)]
            assert kinds(replies[4:]) == ["status", "done"]  # what was asked later is answered later


@pytest.mark.parametrize(
    ("problem", "message"), [(SnitchError("too long"), "too long"), (ZeroDivisionError(), "the daemon failed")]
)
def test_a_question_that_fails_is_refused(tmp_path: Path, problem: Exception, message: str) -> None:
    with serving(tmp_path, ROOT) as (running, reader):
        reader.problem = problem
        (refused,) = talk(running, ALL)
        assert message in str(refused["message"])


def test_no_user_can_have_all_threads(tmp_path: Path) -> None:
    with serving(tmp_path, *[ALICE] * 3, ROOT) as (running, reader):
        reader.may_answer = threading.Event()
        clients = [RawClient(running, Hello(), ALL) for _ in range(2)]
        for client in clients:
            client.read(1)
        running.wait_until(lambda: running.clients.statistics().clients == 2)
        (refused,) = talk(running, ALL)
        assert "too many questions" in str(refused["message"])
        threading.Timer(0.2, reader.may_answer.set).start()
        assert kinds(talk(running, ALL))[-1] == "done"
        for client in clients:
            client.__exit__()
