"""Over a real Unix socket, with clients that behave and clients that do not."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.small_desk import RunningServer, make_prompt, running_server
from tinysnitch.daemon.control_server import MAX_CLIENTS
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

Reply = dict[str, object]


@pytest.fixture(name="running")
def _running(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path / "socket") as running:
        yield running


class RawClient:
    """Says what it is told to, and reads frames as JSON."""

    def __init__(self, running: RunningServer, *requests: Request) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(5)
        self.socket.connect(str(running.path))
        self._lines = self.socket.makefile("rb")
        self.send(*requests)

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self.socket.close()

    def send(self, *requests: Request) -> None:
        self.socket.sendall(b"".join(map(encode_frame, requests)))

    def read(self, count: int) -> list[Reply]:
        return [json.loads(self._lines.readline()) for _ in range(count)]

    def read_to_end(self) -> list[Reply]:
        replies = []
        try:
            for line in self._lines:
                replies.append(json.loads(line))
        except ConnectionResetError:
            pass
        return replies


def talk(running: RunningServer, *requests: Request) -> list[Reply]:
    """All replies without the greeting, the last one `done` or `refused` for each request."""
    with RawClient(running, Hello(), *requests) as client:
        client.socket.shutdown(socket.SHUT_WR)
        replies = client.read_to_end()
    assert replies[0]["type"] == "welcome"
    return replies[1:]


def kinds(replies: list[Reply]) -> list[object]:
    return [reply.get("type") or reply["event"] for reply in replies]


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
    assert refused["message"] == "<argument>:1:1: not a verdict"


def test_a_refusal_ends_the_request_not_the_client(running: RunningServer) -> None:
    assert kinds(talk(running, GiveAnswer(99), ReadStatus())) == ["refused", "status", "done"]


def test_a_bug_in_the_daemon_is_told_and_logged(running: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    refused, *others = talk(running, Explain("bug", "", 0, ""), ReadStatus())
    assert refused["message"] == "the daemon failed at this request"
    assert kinds(others) == ["status", "done"]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("answer", [GiveAnswer(3), GiveAnswer(99, rule="allow - - -")], ids=["empty", "gone"])
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
        running.call(running.server.push_record, b'{"event":"lost","count":77}')
        assert client.read(1)[0]["count"] == 77
    running.wait_until(lambda: not running.server.has_followers)


def test_prompt_clients_are_told_of_prompts(running: RunningServer) -> None:
    with RawClient(running, Hello(), Attach()) as client:
        assert sorted(map(str, kinds(client.read(3)))) == ["done", "prompt_shown", "welcome"]
        assert running.desk.attached == {1: os.getuid()}
        running.call(running.server.push_prompt, make_prompt(4))
        running.call(running.server.push_notice, "rules did not load", "edit them")
        running.call(running.server.push_closed, 4, "answered", 1000)
        shown, notice, closed = client.read(3)
    assert shown["prompt"]["prompt_id"] == 4  # type: ignore[index]
    assert notice == {"type": "notice", "text": "rules did not load", "hint": "edit them"}
    assert closed == {"type": "prompt_closed", "prompt_id": 4, "reason": "answered", "by_uid": 1000}
    running.wait_until(lambda: running.desk.attached == {})


def test_all_prompt_clients_hear_of_the_first_answer(running: RunningServer) -> None:
    with RawClient(running, Hello(), Attach()) as watcher:
        watcher.read(3)
        talk(running, GiveAnswer(3, rule="allow - - -"))
        assert watcher.read(1)[0] == {"type": "prompt_closed", "prompt_id": 3, "reason": "answered", "by_uid": 0}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x" * 70_000, "limit"),
        (b"\x00\xff\n", "not a message"),
        (b"\n", "not a message"),
        (encode_frame(ReadStatus()), "must be hello"),
        (encode_frame(Hello()) + b'{"type":"no_such"}\n', "not a message"),
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


def test_other_versions_are_told_so(running: RunningServer) -> None:
    with RawClient(running, Hello(99, "9.9")) as client:
        welcome, refused = client.read_to_end()
    assert welcome["type"] == "welcome"
    assert "9.9" in str(refused["message"])
    assert "restart" in str(refused["hint"])


def test_a_client_that_does_not_read_is_cut_off(running: RunningServer) -> None:
    line = b'{"event":"lost","what":"%s"}' % (b"x" * 10_000)
    with RawClient(running, Hello(), ReadLog(0, follow=True)) as slow, RawClient(running, Hello()) as good:
        running.wait_until(lambda: running.server.has_followers)
        for _ in range(400):
            running.call(running.server.push_record, line)
        assert running.call(running.server.statistics).slow == 1
        good.send(ReadStatus())
        assert kinds(good.read(3)) == ["welcome", "status", "done"]
        assert len(slow.read_to_end()) < 400


def test_a_long_reply_waits_for_its_reader(running: RunningServer) -> None:
    running.desk.rules = [f"allow - {number} tcp" for number in range(20_000)]
    with RawClient(running, Hello(), ListRules(), ReadLog(0, follow=True)) as client:
        client.read(1)
        running.call(running.server.push_record, b'{"event":"lost"}')  # must not land inside the reply
        replies = client.read(20_002)
        assert kinds(replies[-2:]) == ["rule_entry", "done"]
    assert running.call(running.server.statistics).slow == 0


def test_many_requests_at_once_are_all_answered(running: RunningServer) -> None:
    replies = talk(running, *[ReadStatus()] * 500)
    assert kinds(replies) == ["status", "done"] * 500


def test_clients_are_bounded(running: RunningServer) -> None:
    clients = [RawClient(running, Hello()) for _ in range(MAX_CLIENTS)]
    assert all(client.read(1)[0]["type"] == "welcome" for client in clients)
    with RawClient(running) as late:
        assert "connected already" in str(late.read_to_end()[0]["message"])
    for client in clients:
        client.__exit__()
    running.wait_until(lambda: running.server.statistics().clients == 0)
    assert kinds(talk(running, ReadStatus())) == ["status", "done"]


def test_closing_ends_clients_and_removes_the_socket(tmp_path: Path) -> None:
    with running_server(tmp_path / "socket") as running:
        client = RawClient(running, Hello())
        client.read(1)
    assert client.read_to_end() == []
    client.__exit__()
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
