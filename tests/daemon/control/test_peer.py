"""Clients that misbehave lose their own connection, and harm no other client."""

import asyncio
import errno
import socket
from pathlib import Path

import pytest

from tests.daemon.control.raw_client import RawClient, Reply, kinds, talk
from tests.daemon.requests.small_handler import (
    ALICE,
    ROOT,
    Comers,
    RunningServer,
    SlowNames,
    make_prompt,
    running_server,
)
from tinysnitch.core.prompts.choice import Choice
from tinysnitch.daemon.control import peer as control_peer
from tinysnitch.daemon.control import peer as turns
from tinysnitch.daemon.control.peer import MAX_INBOX, MAX_PUSHES
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.protocol.framing import encode_frame
from tinysnitch.protocol.messages import AddRule, Attach, GiveAnswer, Hello, ListRules, ReadLog, ReadStatus


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x" * 70_000, "limit"),
        (b"\x00\xff\n", "not a message"),
        (b"\n", "not a message"),
        (encode_frame(ReadStatus()), "must be hello"),
        (
            encode_frame(Hello()) + b'{"type":"of_later"}\n',
            "the daemon does not understand what it is asked: not",
        ),
        (encode_frame(Hello()) + encode_frame(Hello()), "must be hello"),
    ],
)
def test_a_bad_frame_ends_its_client_alone(running: RunningServer, data: bytes, message: str) -> None:
    with RawClient(running, Hello()) as good, RawClient(running) as bad:
        bad.socket.sendall(data)
        refused = bad.read_to_end()[-1]
        good.send(ReadStatus())
        assert kinds(good.read(3)) == ["welcome", "status", "done"]
    assert refused["type"] == "refused"
    assert message in str(refused["message"])


class Deaf(asyncio.Transport):
    """A transport for which epoll has no room after reading was resumed `times` times."""

    def __init__(self, sock: socket.socket, times: int) -> None:
        super().__init__({"socket": sock})
        self.is_aborted = False
        self.is_full = False  # the client does not read, and epoll has no room to wait for it
        self._times = times
        self._is_reading = True

    def pause_reading(self) -> None:
        self._is_reading = False

    def is_reading(self) -> bool:
        return self._is_reading

    def is_closing(self) -> bool:
        return self.is_aborted

    def resume_reading(self) -> None:
        if not self._times:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._times -= 1
        self._is_reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")

    def abort(self) -> None:
        self.is_aborted = True


def test_a_client_that_cannot_be_heard_keeps_no_place(running: RunningServer) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport = Deaf(ours, times=0)
        peer = control_peer.ControlPeer(running.server, 99)
        with pytest.raises(OSError, match="No space"):
            running.call(peer.connection_made, transport)
        assert transport.is_aborted
        running.call(peer.connection_lost, None)


def test_nor_does_one_that_cannot_be_heard_any_more_after_many_requests(
    running: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "TURN_S", 60.0)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport = Deaf(ours, times=1)
        peer = control_peer.ControlPeer(running.server, 99)
        running.call(peer.connection_made, transport)
        requests = encode_frame(Hello()) + (MAX_INBOX + 1) * encode_frame(ReadStatus())
        with pytest.raises(OSError, match="No space"):
            running.call(peer.data_received, requests)
        assert transport.is_aborted
        running.call(peer.connection_lost, None)


def test_one_that_cannot_be_waited_for_does_not_keep_a_question_from_others(running: RunningServer) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport = Deaf(ours, times=1)
        peer = control_peer.ControlPeer(running.server, 99)
        running.call(peer.connection_made, transport)
        running.call(peer.data_received, encode_frame(Hello()) + encode_frame(Attach()))
        transport.is_full = True
        with RawClient(running, Hello(), Attach()) as good:
            good.read(3)
            running.call(running.clients.push_prompt, make_prompt(9))
            assert kinds(good.read(1)) == ["prompt_shown"]
        assert transport.is_aborted
        assert running.call(running.clients.statistics).slow == 1
        running.call(peer.connection_lost, None)


def test_other_versions_are_told_so(running: RunningServer) -> None:
    with RawClient(running, Hello(99, "9.9")) as client:
        welcome, refused = client.read_to_end()
    assert welcome["type"] == "welcome"
    assert "9.9" in str(refused["message"])
    assert "tinysnitchd, and prompts" in str(refused["hint"])


def test_a_client_that_does_not_read_is_cut_off(running: RunningServer) -> None:
    line = b'{"event":"lost","what":"%s"}' % (b"x" * 10_000)
    with RawClient(running, Hello(), ReadLog(0, follow=True)) as slow, RawClient(running, Hello()) as good:
        running.wait_until(lambda: len(running.clients.followers) == 1)
        for _ in range(2000):
            running.call(running.clients.push_record, line, None)
        assert running.call(running.clients.statistics).slow == 1
        good.send(ReadStatus())
        assert kinds(good.read(3)) == ["welcome", "status", "done"]
        assert len(slow.read_to_end()) < 2000


def test_however_many_long_questions_are_open_a_prompt_may_attach(running: RunningServer) -> None:
    asks = {number: make_prompt(number, args=("\x1b" * 2300,)) for number in range(1024)}
    running.call(running.handler.prompts.update, asks)
    with RawClient(running, Hello(), Attach()) as late, RawClient(running, Hello(), Attach()) as early:
        early.read(1026)
        for ask in asks.values():
            running.call(running.clients.push_prompt, ask)
        assert kinds(early.read(1024)) == ["prompt_shown"] * 1024
        assert kinds(late.read(2050))[-1] == "prompt_shown"
    assert running.call(running.clients.statistics).slow == 0


def test_a_long_reply_waits_for_its_reader(running: RunningServer) -> None:
    running.handler.rules = [f"allow - {number} tcp" for number in range(20_000)]
    with RawClient(running, Hello(), ListRules(), ReadLog(0, follow=True)) as client:
        client.read(1)
        running.call(running.clients.push_record, b'{"event":"lost"}', None)  # must not land inside the reply
        replies = client.read(20_002)
        assert kinds(replies[-2:]) == ["rule_entry", "done"]
    assert running.call(running.clients.statistics).slow == 0


def test_who_does_not_read_holds_up_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for such a client is given up."""
    monkeypatch.setattr("tinysnitch.daemon.control.server.CLOSE_S", 3600.0)
    with running_server(tmp_path / "socket") as running:
        running.handler.rules = ["allow - - -"] * 50_000
        client = RawClient(running, Hello(), ReadLog(0, follow=True), ListRules())
        client.read(2)  # the long reply is under way
        running.call(running.clients.push_record, b'{"event":"lost"}', None)
    client.__exit__()


def test_many_requests_at_once_are_all_answered(running: RunningServer) -> None:
    replies = talk(running, *[ReadStatus()] * 500)
    assert kinds(replies) == ["status", "done"] * 500


def test_of_who_asks_and_does_not_read_no_more_is_read(running: RunningServer) -> None:
    running.handler.rules = ["allow - - -"] * 50_000
    with RawClient(running, Hello(), ListRules()) as client:
        client.read(2)  # the long reply is under way
        (peer,) = running.clients._peers.values()
        client.send(*[ReadStatus()] * (MAX_INBOX + 1))
        running.wait_until(lambda: not peer._transport.is_reading())
        client.send(ReadStatus())
        replies = client.read(50_001 + 2 * (MAX_INBOX + 2))
    assert kinds(replies)[-4:] == ["status", "done"] * 2


def test_who_says_no_more_is_answered_all_the_same(running: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client may close its sending side, as `nc -N` does; also when each turn of the loop has no time for it."""
    monkeypatch.setattr(turns, "TURN_S", 0.0001)
    assert kinds(talk(running, *[ReadStatus()] * 60)) == ["status", "done"] * 60


def answers_of(running: RunningServer, numbers: range) -> list[GiveAnswer]:
    """Open questions, and make the requests that answer them."""
    running.call(running.handler.prompts.update, {number: make_prompt(number) for number in numbers})
    return [GiveAnswer(number, rule=f"allow - {number} tcp") for number in numbers]


def rules_of(replies: list[Reply]) -> list[object]:
    return [reply["rule"] for reply in replies if reply["type"] == "rule_written"]


def test_answers_that_are_sent_at_once_are_each_answered_in_order(running: RunningServer) -> None:
    """Each answer pushes the closed question to clients that attached, even while they wait for replies."""
    with RawClient(running, Hello(), Attach()) as client:
        client.read(3)
        answers = answers_of(running, range(10, 110))
        client.send(*answers)
        replies = client.read(300)
    assert rules_of(replies) == [answer.rule for answer in answers]


def test_no_request_is_begun_within_another(running: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A push comes in the middle of the engine's commands. Also where two clients wait for their turn."""
    under_way: list[int] = []
    deepest: list[int] = []
    answer = running.handler.answer

    def answer_noted(prompt_id: int, choice: Choice | str, right: Right, _together: int) -> str:
        under_way.append(prompt_id)
        deepest.append(len(under_way))
        line = answer(prompt_id, choice, right)
        under_way.pop()
        return line

    monkeypatch.setattr(running.handler, "answer", answer_noted)
    with RawClient(running, Hello(), Attach()) as one, RawClient(running, Hello(), Attach()) as other:
        for client in (one, other):
            client.read(3)
        answers = answers_of(running, range(10, 210))
        running.call(lambda: (one.send(*answers[::2]), other.send(*answers[1::2])))
        assert rules_of(one.read(400)) == [answer.rule for answer in answers[::2]]
        assert rules_of(other.read(400)) == [answer.rule for answer in answers[1::2]]
    assert set(deepest) == {1}


def test_a_client_that_lets_too_many_wait_is_cut_off(running: RunningServer) -> None:
    """The number of pushes is limited, however short they are."""
    running.handler.rules = ["allow - - -"] * 50_000
    with RawClient(running, Hello(), ReadLog(0, follow=True), ListRules()) as client:
        client.read(2)  # the long reply is under way, and nobody reads on
        for _ in range(MAX_PUSHES + 1):
            running.call(running.clients.push_record, b"{}", None)
        assert running.call(running.clients.statistics).slow == 1


@pytest.mark.parametrize(("right", "limit"), [(ROOT, "MAX_PUSH_BYTES"), (ALICE, "MAX_OWN_PUSH_BYTES")])
def test_how_much_may_wait_for_a_client_is_by_its_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: Right, limit: str
) -> None:
    monkeypatch.setattr(control_peer, limit, 1000)
    here = running_server(tmp_path / "socket", Comers(right))
    with here as running, RawClient(running, Hello(), ReadLog(0, follow=True)) as client:
        client.read(1)
        running.wait_until(lambda: len(running.clients.followers) == 1)
        for _ in range(100):  # a client that reads may get any number of pushes
            running.call(running.clients.push_record, b'{"event":"lost"}', right.uid)
            client.read(1)
        assert running.call(running.clients.statistics).slow == 0
        running.call(running.clients.push_record, b"x" * 1000, right.uid)
        assert running.call(running.clients.statistics).slow == 1


def test_a_client_that_is_gone_in_the_middle_of_a_reply_is_forgotten(running: RunningServer) -> None:
    running.handler.rules = ["allow - - -"] * 50_000
    with RawClient(running, Hello(), ListRules()) as client:
        client.read(2)
    running.wait_until(lambda: running.clients.statistics().clients == 0)
    assert kinds(talk(running, ReadStatus())) == ["status", "done"]


def test_nothing_is_done_before_it_is_known_who_asks(tmp_path: Path) -> None:
    """Python 3.11 reads once more even if reading was paused at once."""
    names, rule = SlowNames(), AddRule("deny - - -")
    with running_server(tmp_path / "socket", names) as running, RawClient(running) as client:
        running.wait_until(lambda: bool(running.server._newcomers))
        (peer,) = running.server._newcomers
        assert not peer._transport.is_reading()
        running.call(peer.data_received, encode_frame(Hello()) + encode_frame(rule))
        running.call(peer.resume_writing)
        assert rule.line not in running.handler.rules
        names.may_end.set()
        assert kinds(client.read(3)) == ["welcome", "rule_written", "done"]
