"""Over a real Unix socket: who gets in, what is answered, what is told."""

import asyncio
import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.core.transcript import yes
from tests.daemon.raw_client import RawClient, kinds, talk
from tests.daemon.small_desk import (
    ALICE,
    ROOT,
    Comers,
    RunningServer,
    SlowNames,
    SmallDesk,
    make_prompt,
    running_server,
)
from tinysnitch.core.commands import ClosePrompt
from tinysnitch.core.errors import SnitchError
from tinysnitch.daemon.control_permission import Permissions, Right
from tinysnitch.daemon.control_server import (
    CLOSE_S,
    MAX_CLIENTS,
    MAX_CLIENTS_OF_USER,
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
    Request,
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


def test_the_desk_says_no_with_a_hint(running: RunningServer) -> None:
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


@pytest.mark.parametrize(
    "answer",
    [GiveAnswer(3), GiveAnswer(3, yes(), "deny - - -"), GiveAnswer(99, rule="allow - - -")],
    ids=["empty", "both", "gone"],
)
def test_what_is_no_answer_is_refused(running: RunningServer, answer: GiveAnswer) -> None:
    assert kinds(talk(running, answer)) == ["refused"]
    assert 3 in running.desk.prompts


def test_a_rule_line_answers_too(running: RunningServer) -> None:
    written, _done = talk(running, GiveAnswer(3, rule="allow - - -"))
    assert written["rule"] == "allow - - -"


def test_the_log_is_bounded_and_oldest_first(running: RunningServer) -> None:
    replies = talk(running, ReadLog(2))
    assert [reply.get("count") for reply in replies] == [3, 4, None]
    assert kinds(talk(running, ReadLog(0))) == ["done"]
    assert kinds(talk(running, ReadLog(-5))) == ["done"]


def test_a_follower_gets_the_past_and_then_what_happens(running: RunningServer) -> None:
    with RawClient(running, Hello(), ReadLog(1, follow=True)) as client:
        assert client.read(2)[1]["count"] == 4
        running.call(running.server.push_record, b'{"event":"lost","count":77}', None)
        assert client.read(1)[0]["count"] == 77
    running.wait_until(lambda: running.server.statistics().followers == 0)


def test_prompt_clients_are_told_of_prompts(running: RunningServer) -> None:
    with RawClient(running, Hello(), Attach()) as client:
        assert sorted(map(str, kinds(client.read(3)))) == ["done", "prompt_shown", "welcome"]
        assert running.desk.attached == {1: os.getuid()}
        running.call(running.server.push_prompt, make_prompt(4))
        running.call(running.server.push_notice, "rules did not load", "edit them")
        running.call(running.server.push_closed, ClosePrompt(4, "answered", 1000))
        shown, notice, closed = client.read(3)
    assert shown["prompt"]["prompt_id"] == 4  # type: ignore[index]
    assert notice == {"type": "notice", "text": "rules did not load", "hint": "edit them"}
    assert closed == {"type": "prompt_closed", "prompt_id": 4, "reason": "answered", "by_uid": 1000}
    running.wait_until(lambda: running.desk.attached == {})


def test_who_attaches_is_told_what_stands(tmp_path: Path) -> None:
    with running_server(tmp_path / "socket", Comers(ROOT, ALICE, ROOT)) as running:
        running.call(running.server.hold_notice, "rules did not load", "edit them")
        assert talk(running, Attach())[-2:] == [
            {"type": "notice", "text": "rules did not load", "hint": "edit them", "stands": True},
            {"type": "done"},
        ]
        assert "notice" not in kinds(talk(running, Attach()))
        running.call(running.server.lift_notice, "rules load again")
        assert "notice" not in kinds(talk(running, Attach()))


def test_the_end_of_what_stands_is_told_once(running: RunningServer) -> None:
    with RawClient(running, Hello(), Attach()) as client:
        client.read(3)
        for _ in range(2):
            running.call(running.server.lift_notice, "never held")
            running.call(running.server.hold_notice, "rules did not load")
            running.call(running.server.hold_notice, "rules did not load")  # no news
            running.call(running.server.lift_notice, "rules load again")
        told = [(notice["text"], notice["stands"]) for notice in client.read(4)]
    assert told == [("rules did not load", True), ("rules load again", False)] * 2


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
    def answer(_prompt_id: int, line: str, _right: Right) -> str:
        if "git" in line:
            running.server.push_unsaved(SnitchError("/r: the file is gone", "write it again"))
        return line

    with running_server(tmp_path / "socket", Comers(right)) as running:
        monkeypatch.setattr(running.desk, "answer", answer)
        running.call(running.server.push_unsaved, SnitchError("what befell before is not about this answer"))
        lines = ("deny - - -", "deny - - - /usr/bin/git", "allow - - -")
        told = talk(running, *(GiveAnswer(3, rule=line) for line in lines))[::2]
    assert [(reply["problem"], reply["hint"]) for reply in told] == [("", ""), (problem, hint), ("", "")]


def test_that_a_rule_is_not_saved_is_the_last_that_others_read(
    running: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = running.desk.answer

    def lose(*words: object) -> str:
        running.server.push_unsaved(SnitchError("no room"))
        return answer(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(running.desk, "answer", lose)
    with RawClient(running, Hello(), Attach()) as watcher:
        watcher.read(3)
        talk(running, GiveAnswer(3, rule="allow - - -"))
        assert kinds(watcher.read(2)) == ["prompt_closed", "notice"]


def test_all_prompt_clients_hear_of_the_first_answer(running: RunningServer) -> None:
    with RawClient(running, Hello(), Attach()) as watcher:
        watcher.read(3)
        talk(running, GiveAnswer(3, rule="allow - - -"))
        assert watcher.read(1)[0] == {"type": "prompt_closed", "prompt_id": 3, "reason": "answered", "by_uid": 0}


def test_clients_are_bounded(running: RunningServer) -> None:
    clients = [RawClient(running, Hello()) for _ in range(MAX_CLIENTS)]
    assert all(client.read(1)[0]["type"] == "welcome" for client in clients)
    with RawClient(running) as late:
        assert "connected already" in str(late.read_to_end()[0]["message"])
    for client in clients:
        client.__exit__()
    running.wait_until(lambda: running.server.statistics().clients == 0)
    assert kinds(talk(running, ReadStatus())) == ["status", "done"]


BOB = Right(1001, sees_all=False)


@contextmanager
def arrived(path: Path, rights: Sequence[Right], *requests: Request) -> Iterator[tuple[RunningServer, list[RawClient]]]:
    """A server, and a client of each right that has said these."""
    with running_server(path, Comers(*rights)) as running, ExitStack() as clients:
        yield running, [clients.enter_context(RawClient(running, *requests)) for _right in rights]


def test_each_is_told_what_their_right_covers(tmp_path: Path) -> None:
    with arrived(tmp_path / "socket", (ALICE, BOB, ROOT), Hello(), Attach()) as (running, clients):
        running.wait_until(lambda: len(running.desk.attached) == len(clients))
        for uid in (1000, 1001):
            running.call(running.server.push_prompt, make_prompt(uid, uid=uid))
            running.call(running.server.push_closed, ClosePrompt(uid, "answered", 0, uid))
        running.call(running.server.push_notice, "rules did not load")
        for client in clients:
            client.socket.shutdown(socket.SHUT_WR)
        told = [client.read_to_end() for client in clients]
    closed = [[push["prompt_id"] for push in each if push["type"] == "prompt_closed"] for each in told]
    assert closed == [[1000], [1001], [1000, 1001]]
    shown = [{push["prompt"]["prompt_id"] for push in each if push["type"] == "prompt_shown"} for each in told]  # type: ignore[index]
    assert shown == [{3, 1000}, {1001}, {3, 1000, 1001}]
    assert ["notice" in kinds(each) for each in told] == [False, False, True]


def test_the_greeting_says_how_far_the_right_goes(tmp_path: Path) -> None:
    with arrived(tmp_path / "socket", (ALICE, ROOT)) as (_running, clients):
        assert [client.read(1)[0]["sees_all"] for client in clients] == [False, True]


def test_followers_see_the_lines_that_their_right_covers(tmp_path: Path) -> None:
    with arrived(tmp_path / "socket", (ALICE, ROOT), Hello(), ReadLog(0, follow=True)) as (running, clients):
        running.wait_until(lambda: running.server.statistics().followers == len(clients))
        for number, uid in enumerate((None, 0, 1001, 1000)):
            running.call(running.server.push_record, b'{"event":"lost","count":%d}' % number, uid)
        for client, counts in zip(clients, ([3], [0, 1, 2, 3]), strict=True):
            assert [line.get("count") for line in client.read(len(counts) + 1)] == [None, *counts]


def test_who_sees_but_their_own_leaves_room_for_others(tmp_path: Path) -> None:
    users = [Right(uid, sees_all=False) for uid in (1000, 1001, 1002)]
    comers = [user for user in users for _client in range(MAX_CLIENTS_OF_USER + 1)]
    with arrived(tmp_path / "socket", [*comers, *[ROOT] * 32]) as (running, clients):
        told = [client.read(1)[0]["type"] for client in clients]
        assert running.call(running.server.statistics).crowded_out == 19
    full = ["welcome"] * MAX_CLIENTS_OF_USER
    assert told == [*full, "refused", *full, "refused", *["refused"] * 17, *["welcome"] * 32]


def test_closing_ends_clients_and_removes_the_socket(tmp_path: Path) -> None:
    with running_server(tmp_path / "made" / "socket") as running:
        client = RawClient(running, Hello())
        client.read(1)
    assert client.read_to_end() == []
    client.__exit__()
    assert list(tmp_path.iterdir()) == []


def test_who_is_attached_is_detached_by_the_end(tmp_path: Path) -> None:
    """What the desk speaks with ends next. And one that was never started ends as well."""

    async def session(client: socket.socket) -> None:
        desk = SmallDesk()
        server = desk.server = ControlServer(desk, Permissions())
        await server.close()
        server = desk.server = ControlServer(desk, Permissions())
        await server.start(tmp_path / "socket")
        client.connect(str(tmp_path / "socket"))
        client.sendall(encode_frame(Hello()) + encode_frame(Attach()))
        async with asyncio.timeout(60):
            while not desk.attached:  # noqa: ASYNC110 - nothing there signals an event
                await asyncio.sleep(0)
        await server.close()
        assert desk.attached == {}

    with socket.socket(socket.AF_UNIX) as client:
        asyncio.run(session(client))


def test_a_follower_reads_what_happened_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what had to wait for a turn that does not come any more."""
    with running_server(tmp_path / "socket") as running:
        client = RawClient(running, Hello(), ReadLog(1, follow=True))
        client.read(2)
        monkeypatch.setattr(running.server.turns, "has_time", lambda: False)
        for number in range(3):
            running.call(running.server.push_record, b'{"event":"lost","count":%d}' % number, None)
    assert [line["count"] for line in client.read_to_end()] == [0, 1, 2]
    client.__exit__()


@pytest.mark.parametrize("turns", range(6))
def test_a_client_that_comes_while_we_close_keeps_nobody(tmp_path: Path, turns: int) -> None:
    """At each moment between accept() and the greeting; the client stays until we end it."""

    async def session(client: socket.socket) -> None:
        server = ControlServer(SmallDesk(), Permissions())
        await server.start(tmp_path / "socket")
        client.connect(str(tmp_path / "socket"))
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(CLOSE_S / 2):
            await server.close()
        assert not (tmp_path / "socket").exists()

    with socket.socket(socket.AF_UNIX) as client:
        asyncio.run(session(client))


@pytest.mark.parametrize("turns", range(3))
def test_who_comes_in_the_middle_of_our_end_is_told_of_it(tmp_path: Path, turns: int) -> None:
    """By the kernel, if by nobody else: a client that waits for its greeting would wait for ever."""

    async def session(client: socket.socket) -> None:
        server = ControlServer(SmallDesk(), Permissions())
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
    monkeypatch.setattr("tinysnitch.daemon.control_server.CLOSE_S", 0.1)
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
    assert running.call(running.server.statistics).refused == 1


def test_who_is_looked_up_keeps_nobody_waiting(tmp_path: Path) -> None:
    """A name service may need the network: then the loop must give the verdicts for that."""
    names = SlowNames()
    with running_server(tmp_path / "socket", names) as running, RawClient(running, Hello(), ListAsks()) as waiting:
        assert kinds(talk(running, ReadStatus())) == ["status", "done"]
        names.may_end.set()
        assert kinds(waiting.read(3)) == ["welcome", "prompt_shown", "done"]


def test_who_finds_too_many_that_are_looked_up_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinysnitch.daemon.right_lookup.MAX_WAITING", 0)
    with running_server(tmp_path / "socket", SlowNames()) as running, RawClient(running) as client:
        (refused,) = client.read_to_end()
        statistics = running.call(running.server.statistics)
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
    assert (refused["message"], refused["exit_code"]) == ("tinysnitchd is stopping", 3)  # prompts wait for the next one
