"""Which clients are connected, and what is pushed to each, over a real Unix socket."""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.daemon.control.raw_client import RawClient, kinds, talk
from tests.daemon.requests.small_handler import ALICE, ROOT, Comers, RunningServer, make_prompt, running_server
from tinysnitch.core.engine.commands import ClosePrompt
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.control.clients import MAX_CLIENTS, MAX_CLIENTS_OF_USER
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.protocol.messages import Attach, GiveAnswer, Hello, ReadLog, ReadStatus, Request

BOB = Right(1001, sees_all=False)


@contextmanager
def arrived(path: Path, rights: Sequence[Right], *requests: Request) -> Iterator[tuple[RunningServer, list[RawClient]]]:
    """A server, and for each right a client that has sent these requests."""
    with running_server(path, Comers(*rights)) as running, ExitStack() as clients:
        yield running, [clients.enter_context(RawClient(running, *requests)) for _right in rights]


def test_the_greeting_says_how_far_the_right_goes(tmp_path: Path) -> None:
    with arrived(tmp_path / "socket", (ALICE, ROOT)) as (_running, clients):
        assert [client.read(1)[0]["sees_all"] for client in clients] == [False, True]


def test_a_follower_gets_the_past_and_then_what_happens(running: RunningServer) -> None:
    with RawClient(running, Hello(), ReadLog(1, follow=True)) as client:
        assert client.read(2)[1]["count"] == 4
        running.call(running.clients.push_record, b'{"event":"lost","count":77}', None)
        assert client.read(1)[0]["count"] == 77
    running.wait_until(lambda: not running.clients.followers)


def test_prompt_clients_are_told_of_prompts(running: RunningServer) -> None:
    with RawClient(running, Hello(), Attach()) as client:
        assert sorted(map(str, kinds(client.read(3)))) == ["done", "prompt_shown", "welcome"]
        assert running.handler.attached == {1: os.getuid()}
        running.call(running.clients.push_prompt, make_prompt(4))
        running.call(running.clients.push_notice, "rules did not load", "edit them")
        running.call(running.clients.push_closed, ClosePrompt(4, "answered", 1000))
        shown, notice, closed = client.read(3)
    assert shown["prompt"]["prompt_id"] == 4  # type: ignore[index]
    assert notice == {"type": "notice", "text": "rules did not load", "hint": "edit them"}
    assert closed == {"type": "prompt_closed", "prompt_id": 4, "reason": "answered", "by_uid": 1000}
    running.wait_until(lambda: running.handler.attached == {})


def test_who_attaches_is_told_what_stands(tmp_path: Path) -> None:
    with running_server(tmp_path / "socket", Comers(ROOT, ALICE, ROOT)) as running:
        running.call(running.clients.hold_notice, "rules did not load", "edit them")
        assert talk(running, Attach())[-2:] == [
            {"type": "notice", "text": "rules did not load", "hint": "edit them", "stands": True},
            {"type": "done"},
        ]
        assert "notice" not in kinds(talk(running, Attach()))
        running.call(running.clients.lift_notice, "rules load again")
        assert "notice" not in kinds(talk(running, Attach()))


def test_the_end_of_what_stands_is_told_once(running: RunningServer) -> None:
    with RawClient(running, Hello(), Attach()) as client:
        client.read(3)
        for _ in range(2):
            running.call(running.clients.lift_notice, "never held")
            running.call(running.clients.hold_notice, "rules did not load")
            running.call(running.clients.hold_notice, "rules did not load")  # no news
            running.call(running.clients.lift_notice, "rules load again")
        told = [(notice["text"], notice["stands"]) for notice in client.read(4)]
    assert told == [("rules did not load", True), ("rules load again", False)] * 2


def test_that_a_rule_is_not_saved_is_the_last_that_others_read(
    running: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = running.handler.answer

    def lose(*words: object) -> str:
        running.clients.push_unsaved(SnitchError("no room"))
        return answer(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(running.handler, "answer", lose)
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
    running.wait_until(lambda: running.clients.statistics().clients == 0)
    assert kinds(talk(running, ReadStatus())) == ["status", "done"]


def test_each_is_told_what_their_right_covers(tmp_path: Path) -> None:
    with arrived(tmp_path / "socket", (ALICE, BOB, ROOT), Hello(), Attach()) as (running, clients):
        running.wait_until(lambda: len(running.handler.attached) == len(clients))
        for uid in (1000, 1001):
            running.call(running.clients.push_prompt, make_prompt(uid, uid=uid))
            running.call(running.clients.push_closed, ClosePrompt(uid, "answered", 0, uid))
        running.call(running.clients.push_notice, "rules did not load")
        for client in clients:
            client.socket.shutdown(socket.SHUT_WR)
        told = [client.read_to_end() for client in clients]
    closed = [[push["prompt_id"] for push in each if push["type"] == "prompt_closed"] for each in told]
    assert closed == [[1000], [1001], [1000, 1001]]
    shown = [{push["prompt"]["prompt_id"] for push in each if push["type"] == "prompt_shown"} for each in told]  # type: ignore[index]
    assert shown == [{3, 1000}, {1001}, {3, 1000, 1001}]
    assert ["notice" in kinds(each) for each in told] == [False, False, True]


def test_followers_see_the_lines_that_their_right_covers(tmp_path: Path) -> None:
    with arrived(tmp_path / "socket", (ALICE, ROOT), Hello(), ReadLog(0, follow=True)) as (running, clients):
        running.wait_until(lambda: len(running.clients.followers) == len(clients))
        for number, uid in enumerate((None, 0, 1001, 1000)):
            running.call(running.clients.push_record, b'{"event":"lost","count":%d}' % number, uid)
        for client, counts in zip(clients, ([3], [0, 1, 2, 3]), strict=True):
            assert [line.get("count") for line in client.read(len(counts) + 1)] == [None, *counts]


def test_who_only_reads_the_log_is_told_of_no_further_lines(running: RunningServer) -> None:
    with RawClient(running, Hello(), ReadLog(0)) as client:
        assert kinds(client.read(2)) == ["welcome", "done"]
        assert not running.clients.followers


def test_who_sees_but_their_own_leaves_room_for_others(tmp_path: Path) -> None:
    users = [Right(uid, sees_all=False) for uid in (1000, 1001, 1002)]
    comers = [user for user in users for _client in range(MAX_CLIENTS_OF_USER + 1)]
    with arrived(tmp_path / "socket", [*comers, *[ROOT] * 32]) as (running, clients):
        told = [client.read(1)[0]["type"] for client in clients]
        assert running.call(running.clients.statistics).crowded_out == 19
    full = ["welcome"] * MAX_CLIENTS_OF_USER
    assert told == [*full, "refused", *full, "refused", *["refused"] * 17, *["welcome"] * 32]
