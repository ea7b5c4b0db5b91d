"""Over a real Unix socket: which clients get in, what they are answered, and what is pushed to them."""

import asyncio
import errno
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from tests.core.engine.transcript import yes
from tests.daemon.control.raw_client import RawClient, kinds, talk
from tests.daemon.requests.small_handler import (
    ALICE,
    ROOT,
    Comers,
    RunningServer,
    SlowNames,
    SmallHandler,
    running_server,
)
from tests.lab.patience import WAIT_S
from tinysnitch.core.model.errors import SHORTAGE_HINT, SnitchError
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.daemon.control import peer as turns
from tinysnitch.daemon.control.clients import MAX_CLIENTS, MAX_CLIENTS_OF_USER
from tinysnitch.daemon.control.peer import Turns
from tinysnitch.daemon.control.permissions import Permissions, Right
from tinysnitch.daemon.control.server import (
    ACCEPTED_AT_ONCE,
    ControlServer,
)
from tinysnitch.protocol.framing import encode_frame
from tinysnitch.protocol.messages import (
    AddRule,
    Attach,
    Explain,
    GiveAnswer,
    Hello,
    ListAsks,
    ListRules,
    ReadLog,
    ReadStatus,
    RemoveRule,
)


def test_requests_are_answered_in_order(running: RunningServer) -> None:
    replies = talk(running, ListRules(), ReadStatus(), AddRule("deny - - -"), RemoveRule("deny - - -"), ListAsks())
    assert kinds(replies) == [
        *("rule_entry", "rule_entry", "done"),
        *("status", "done"),
        *("rule_written", "done"),
        *("rule_written", "done"),
        *("prompt_shown", "done"),
    ]


def test_the_handler_says_no_with_a_hint(running: RunningServer) -> None:
    (refused,) = talk(running, AddRule("allo"))
    assert (refused["type"], refused["hint"], refused["exit_code"]) == ("refused", "write allow or deny", 1)
    assert refused["message"] == "column 1: not a verdict"


def test_a_refusal_ends_the_request_not_the_client(running: RunningServer) -> None:
    assert kinds(talk(running, GiveAnswer(99), ReadStatus())) == ["refused", "status", "done"]


def test_a_bug_in_the_daemon_is_told_and_logged(running: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    refused, *others = talk(running, Explain("bug", "", 0, ""), ReadStatus())
    assert refused["message"] == "the daemon failed at this request"
    assert kinds(others) == ["status", "done"]
    assert "ZeroDivisionError" in caplog.text


def test_a_shortage_is_told_in_a_line(running: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    refused, *others = talk(running, Explain("shortage", "", 0, ""), ReadStatus())
    assert (refused["message"], refused["hint"]) == ("the daemon failed at this request", SHORTAGE_HINT)
    assert kinds(others) == ["status", "done"]
    assert caplog.messages[0].endswith("failed: Explain: [Errno 24] Too many open files")
    assert caplog.records[0].exc_info is None
    caplog.clear()


@pytest.mark.parametrize(
    "answer",
    [GiveAnswer(3), GiveAnswer(3, yes(), "deny - - -"), GiveAnswer(99, rule="allow - - -")],
    ids=["empty", "both", "gone"],
)
def test_what_is_no_answer_is_refused(running: RunningServer, answer: GiveAnswer) -> None:
    assert kinds(talk(running, answer)) == ["refused"]
    assert 3 in running.handler.prompts


def test_a_rule_line_answers_too(running: RunningServer) -> None:
    written, _done = talk(running, GiveAnswer(3, rule="allow - - -"))
    assert written["rule"] == "allow - - -"


def test_the_log_is_bounded_and_oldest_first(running: RunningServer) -> None:
    replies = talk(running, ReadLog(2))
    assert [reply.get("count") for reply in replies] == [3, 4, None]
    assert kinds(talk(running, ReadLog(0))) == ["done"]
    assert kinds(talk(running, ReadLog(-5))) == ["done"]


@pytest.mark.parametrize("follow", [False, True])
def test_a_log_that_breaks_while_it_is_read_ends_in_a_refusal(
    running: RunningServer, monkeypatch: pytest.MonkeyPatch, follow: bool
) -> None:
    def read_history(_limit: int, _right: Right) -> Iterator[bytes]:
        yield running.handler.history[0]
        raise SnitchError("the history cannot be read", "a hint")

    monkeypatch.setattr(running.handler, "read_history", read_history)
    with RawClient(running, Hello(), ReadLog(2, follow)) as client:
        _welcome, line, refusal = client.read(3)
    assert (line["count"], refusal["message"], refusal["hint"]) == (0, "the history cannot be read", "a hint")


@pytest.mark.parametrize(
    ("right", "problem", "hint"),
    [
        (ROOT, "the rule holds but could not be saved: /r: the file is gone", "write it again"),
        (ALICE, "the rule holds but could not be saved", "root can see why: `tinysnitch log`"),
    ],
)
def test_who_answers_is_told_that_the_rule_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: Right, problem: str, hint: str
) -> None:
    def answer(_prompt_id: int, line: str, _right: Right, _together: int) -> str:
        if "git" in line:
            running.clients.push_unsaved(SnitchError("/r: the file is gone", "write it again"))
        return line

    with running_server(tmp_path / "socket", Comers(right)) as running:
        monkeypatch.setattr(running.handler, "answer", answer)
        running.call(running.clients.push_unsaved, SnitchError("what befell before is not about this answer"))
        lines = ("deny - - -", "deny - - - /usr/bin/git", "allow - - -")
        told = talk(running, *(GiveAnswer(3, rule=line) for line in lines))[::2]
    assert [(reply["problem"], reply["hint"]) for reply in told] == [("", ""), (problem, hint), ("", "")]


def test_closing_ends_clients_and_removes_the_socket(tmp_path: Path) -> None:
    with running_server(tmp_path / "made" / "socket") as running:
        client = RawClient(running, Hello())
        client.read(1)
    assert client.read_to_end() == []
    client.__exit__()
    assert list(tmp_path.iterdir()) == []


def test_a_socket_that_the_loop_cannot_watch_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """epoll_ctl(2): ENOSPC. The file would stay although nobody listens, and never be made anew."""
    path = tmp_path / "socket"

    async def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def run() -> None:
        server = ControlServer(handler := SmallHandler(), Permissions(), handler.clients)
        await server.start(path)
        path.unlink()
        monkeypatch.setattr(asyncio.get_running_loop(), "create_unix_server", refuse)
        with pytest.raises(SnitchError, match="cannot make the control socket"):
            await server.listen_anew()
        assert not path.exists()
        monkeypatch.undo()
        await server.listen_anew()
        assert path.is_socket()
        await server.close()

    asyncio.run(run())


def test_who_is_attached_is_detached_by_the_end(tmp_path: Path) -> None:
    """The parts behind the handler end after the server. A server that was never started can be closed as well."""

    async def session(client: socket.socket) -> None:
        handler = SmallHandler()
        server = ControlServer(handler, Permissions(), handler.clients)
        await server.close()
        server = ControlServer(handler, Permissions(), handler.clients)
        await server.start(tmp_path / "socket")
        client.connect(str(tmp_path / "socket"))
        client.sendall(encode_frame(Hello()) + encode_frame(Attach()))
        async with asyncio.timeout(60):
            while not handler.attached:  # noqa: ASYNC110 - nothing there signals an event
                await asyncio.sleep(0)
        await server.close()
        assert handler.attached == {}

    with socket.socket(socket.AF_UNIX) as client:
        asyncio.run(session(client))


def test_a_follower_reads_what_happened_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also lines that waited for a turn of the loop that does not come any more."""
    with running_server(tmp_path / "socket") as running:
        client = RawClient(running, Hello(), ReadLog(1, follow=True))
        client.read(2)
        monkeypatch.setattr(running.server.turns, "has_time", lambda: False)
        for number in range(3):
            running.call(running.clients.push_record, b'{"event":"lost","count":%d}' % number, None)
    assert [line["count"] for line in client.read_to_end()] == [0, 1, 2]
    client.__exit__()


@pytest.mark.parametrize("turns", range(6))
def test_a_client_that_comes_while_we_close_keeps_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    """At each moment between accept() and the greeting; the client stays until we close its connection."""
    monkeypatch.setattr("tinysnitch.daemon.control.server.CLOSE_S", 2 * WAIT_S)

    async def session(client: socket.socket) -> None:
        handler = SmallHandler()
        server = ControlServer(handler, Permissions(), handler.clients)
        await server.start(tmp_path / "socket")
        client.connect(str(tmp_path / "socket"))
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(WAIT_S):
            await server.close()
        assert not (tmp_path / "socket").exists()

    with socket.socket(socket.AF_UNIX) as client:
        asyncio.run(session(client))


@pytest.mark.parametrize("turns", range(3))
def test_who_comes_in_the_middle_of_our_end_is_told_of_it(tmp_path: Path, turns: int) -> None:
    """It gets a refusal, or at least the end of the connection: it would wait for its greeting for ever."""

    async def session(client: socket.socket) -> None:
        handler = SmallHandler()
        server = ControlServer(handler, Permissions(), handler.clients)
        await server.start(tmp_path / "socket")
        end = asyncio.create_task(server.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        client.connect(str(tmp_path / "socket"))
        await end

    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        asyncio.run(session(client))
        with suppress(ConnectionResetError):
            assert b"is stopping" in client.recv(4096)


def test_what_never_closes_does_not_keep_us_from_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait_for_ever(_server: asyncio.Server) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.Server, "wait_closed", wait_for_ever)
    monkeypatch.setattr("tinysnitch.daemon.control.server.CLOSE_S", 0.1)
    with running_server(tmp_path / "socket") as running:
        talk(running)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.privileged
def test_another_user_is_refused_by_what_the_kernel_says(running: RunningServer) -> None:
    os.chmod(running.path.parent, 0o755)
    with RawClient(running) as probe:  # reachable for root, so that what follows is about the user
        probe.send(Hello())
        probe.read(1)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(running.path.parent)  # folders above may be closed to others
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect("socket")
                os.write(writer, client.makefile("rb").read())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader, "rb") as told:
        refused = json.loads(told.read())
    assert (refused["type"], refused["exit_code"]) == ("refused", 4)
    assert "group tinysnitch" in refused["hint"]
    assert running.call(running.clients.statistics).refused == 1


def test_who_is_looked_up_keeps_nobody_waiting(tmp_path: Path) -> None:
    """A name service may need the network, and so verdicts from the loop."""
    names = SlowNames()
    with running_server(tmp_path / "socket", names) as running, RawClient(running, Hello(), ListAsks()) as waiting:
        assert kinds(talk(running, ReadStatus())) == ["status", "done"]
        names.may_end.set()
        assert kinds(waiting.read(3)) == ["welcome", "prompt_shown", "done"]


def test_who_finds_too_many_that_are_looked_up_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinysnitch.daemon.control.permissions.MAX_WAITING", 0)
    with running_server(tmp_path / "socket", SlowNames()) as running, RawClient(running) as client:
        (refused,) = client.read_to_end()
        statistics = running.call(running.clients.statistics)
    assert "wait to be let in already" in str(refused["message"])
    assert (statistics.crowded_out, statistics.clients) == (1, 0)


def test_who_is_looked_up_at_the_end_is_refused(tmp_path: Path) -> None:
    names = SlowNames()
    with running_server(tmp_path / "socket", names) as running:
        waiting = RawClient(running, Hello())
        assert kinds(talk(running, ReadStatus())) == ["status", "done"]  # by then the first one has come, too
    with waiting:
        (refused,) = waiting.read_to_end()
    names.may_end.set()
    # Exit code 3 makes prompts wait for the next daemon.
    assert (refused["message"], refused["exit_code"]) == ("tinysnitchd is stopping", 3)


PIECE_S = 0.002


class Clock:
    """Stands still but for the work: a real one goes on where a busy machine lets us wait, and then a turn is over."""

    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(turns, "time", clock)
    return clock


class Client:
    """A client with a number of pieces of work."""

    def __init__(self, clock: "Clock", shared: Turns, pieces: int, note: Callable[["Client"], None]) -> None:
        self._clock = clock
        self._turns = shared
        self._note = note
        self.pieces = pieces

    def pump(self) -> None:
        while self.pieces:
            if not self._turns.has_time():
                self._turns.wait(self.pump)
                return
            self.pieces -= 1
            self._clock.now_s += PIECE_S
            self._note(self)


async def work_off(clock: Clock, count: int, pieces: int) -> tuple[list[int], int]:
    """Work all off: the order of the clients, and the largest number of pieces in one turn of the loop."""
    done: list[int] = []
    shared = Turns()
    clients = [Client(clock, shared, pieces, lambda client: done.append(clients.index(client))) for _ in range(count)]
    for client in clients:
        client.pump()
    most = before = len(done)
    while any(client.pieces for client in clients):
        await asyncio.sleep(0)
        most, before = max(most, len(done) - before), len(done)
    return done, most


def test_a_turn_is_short_however_many_wait(clock: Clock) -> None:
    done, most = asyncio.run(work_off(clock, count=20, pieces=5))
    assert len(done) == 100
    assert most <= turns.TURN_S / PIECE_S + 1


def test_who_has_more_to_do_goes_behind_the_others(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_S", PIECE_S / 2)
    done, _most = asyncio.run(work_off(clock, count=3, pieces=4))
    assert done == [0, *[0, 1, 2] * 3, 1, 2]


def test_with_nothing_to_do_no_turn_is_asked_for() -> None:
    async def run() -> None:
        shared = Turns()
        assert shared.has_time()
        await asyncio.sleep(0)
        assert shared._ends_s is None

    asyncio.run(run())


def test_many_clients_that_ask_at_once_leave_the_loop_its_turns(
    running: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    thoughts: list[Right] = []
    counts: list[int] = []  # of thoughts, from turn to turn

    def think(right: Right) -> list[Prompt]:
        thoughts.append(right)
        time.sleep(0.005)
        return []

    def count() -> None:
        counts.append(len(thoughts))
        if len(thoughts) < MAX_CLIENTS_OF_USER * 10:
            asyncio.get_running_loop().call_soon(count)

    monkeypatch.setattr(running.handler, "list_asks", think)
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(running)) for _ in range(MAX_CLIENTS_OF_USER)]
        running.call(count)
        for client in clients:
            client.send(Hello(), *[ListAsks()] * 10)
        running.wait_until(lambda: counts[-1] == MAX_CLIENTS_OF_USER * 10)
    assert max(later - before for before, later in pairwise(counts)) <= 2  # each takes the time of a whole turn


def test_many_who_knock_at_once_leave_the_loop_its_turns(tmp_path: Path) -> None:
    """Any user may connect, without sending anything."""

    async def session(comers: list[socket.socket]) -> list[int]:
        handler = SmallHandler()
        server = ControlServer(handler, Permissions(), handler.clients)
        await server.start(tmp_path / "socket")
        for comer in comers:
            comer.setblocking(False)
            comer.connect(str(tmp_path / "socket"))
        counts = [0]  # of who is in, from turn to turn
        while counts[-1] < len(comers):
            await asyncio.sleep(0)
            counts.append(handler.clients.statistics().clients)
        await server.close()
        return counts

    with ExitStack() as stack:
        comers = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(MAX_CLIENTS)]
        counts = asyncio.run(session(comers))
    assert max(later - before for before, later in pairwise(counts)) <= ACCEPTED_AT_ONCE + 1
