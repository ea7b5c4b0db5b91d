import json
import os
import threading
from pathlib import Path

import pytest

from tests.client.full_socket import FullSocket
from tests.client.odd_daemon import OddDaemon
from tests.daemon.requests.small_handler import ALICE, HOSTILE, ROOT, Comers, RunningServer, running_server
from tinysnitch.client.control_client import ControlClient
from tinysnitch.core.model.errors import DaemonNotRunning, NotPermitted, SnitchError
from tinysnitch.protocol.framing import MAX_FRAME, encode_frame
from tinysnitch.protocol.messages import (
    AddRule,
    ListAsks,
    ListRules,
    PromptShown,
    ReadStatus,
    Refused,
    RuleEntry,
    RuleSource,
    RuleWritten,
    Status,
    Welcome,
)


def test_requests_follow_each_other_on_one_connection(running: RunningServer) -> None:
    with ControlClient(running.path) as client:
        assert client.ask_one(ReadStatus(), Status).clients == 1
        assert [entry.source for entry in client.ask(ListRules(), RuleEntry)] == [RuleSource.FILE, RuleSource.TEMPORARY]
        assert client.ask_one(AddRule("deny - - -"), RuleWritten).rule == "deny - - -"


def test_hostile_arguments_arrive_whole(running: RunningServer) -> None:
    with ControlClient(running.path) as client:
        process = client.ask_one(ListAsks(), PromptShown).prompt.connection.attribution.process
    assert process is not None
    assert process.args == (HOSTILE,)


def test_a_refusal_is_raised_with_its_hint(running: RunningServer) -> None:
    with ControlClient(running.path) as client:
        with pytest.raises(SnitchError, match="not a verdict") as refused:
            client.ask(AddRule("allo"), RuleWritten)
        assert refused.value.hint == "write allow or deny"
        assert client.ask_one(ReadStatus(), Status).pid == 1


def test_a_line_that_is_too_long_is_told_before_it_is_sent(running: RunningServer) -> None:
    with ControlClient(running.path) as client:
        with pytest.raises(SnitchError, match="request is too long: ") as refused:
            client.ask(AddRule("allow - - - /a " + "b" * MAX_FRAME), RuleWritten)
        assert refused.value.hint == "shorten it"
        assert client.ask_one(AddRule("deny - - -"), RuleWritten).rule == "deny - - -"


def test_the_log_is_read_and_followed(running: RunningServer) -> None:
    with ControlClient(running.path) as client:
        assert [json.loads(line)["count"] for line in client.read_log(2)] == [3, 4]
        lines = client.read_log(1, follow=True)
        assert json.loads(next(lines))["count"] == 4
        running.call(running.clients.push_record, b'{"event":"lost","count":9}', None)
        assert json.loads(next(lines))["count"] == 9
        assert client._socket.gettimeout() is None  # however long nothing happens


def test_the_log_is_followed_until_nobody_reads_what_comes_of_it(running: RunningServer) -> None:
    reader, output = os.pipe()
    with ControlClient(running.path) as client, open(output, "wb"):
        lines = client.read_log(1, follow=True, output=output)
        assert json.loads(next(lines))["count"] == 4
        running.call(running.clients.push_record, b'{"event":"lost","count":9}', None)
        assert json.loads(next(lines))["count"] == 9
        os.close(reader)
        with pytest.raises(BrokenPipeError):
            next(lines)


def test_the_daemon_says_how_far_our_right_goes(tmp_path: Path) -> None:
    with running_server(tmp_path / "socket", Comers(ROOT, ALICE)):
        for right in (ROOT, ALICE):
            with ControlClient(tmp_path / "socket") as client:
                assert client.sees_all == right.sees_all


def test_when_the_daemon_ends_it_is_not_running(tmp_path: Path) -> None:
    with running_server(tmp_path / "socket") as running:
        client = ControlClient(running.path)
        lines = client.read_log(1, follow=True)
        next(lines)
    with pytest.raises(DaemonNotRunning, match="ended"):
        next(lines)
    client.close()


def test_nobody_listens(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "none", tmp_path / "no" / "folder", tmp_path / "file" / "x", tmp_path / "file"):
        with pytest.raises(DaemonNotRunning) as error:
            ControlClient(path)
        assert error.value.exit_code == 3
        assert error.value.hint


def test_a_path_that_no_socket_can_have(tmp_path: Path) -> None:
    with pytest.raises(SnitchError, match="cannot connect"):
        ControlClient(tmp_path / ("x" * 120))


@pytest.mark.privileged
def test_a_closed_folder_is_not_permitted(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    child = os.fork()
    if child == 0:
        os.setresuid(65534, 65534, 65534)
        try:
            ControlClient(tmp_path / "closed" / "socket")
        except NotPermitted as error:
            os._exit(error.exit_code)
        finally:
            os._exit(99)
    _pid, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 4


@pytest.mark.parametrize(
    ("says", "message"),
    [
        (encode_frame(Welcome(99, "9.9")), "9.9"),
        (b"garbage\n", "does not understand"),
        (b"x" * 1_100_000, "too long a message"),
        (encode_frame(Welcome()), "ended"),
        (encode_frame(Refused("go away", "ask root", 4)), "go away"),
        (encode_frame(Welcome()) + b'{"type":"done"}\n', "0 replies"),
    ],
    ids=["version", "garbage", "much", "end", "refused", "empty"],
)
def test_an_odd_daemon_is_an_error_for_people(tmp_path: Path, says: bytes, message: str) -> None:
    with OddDaemon(tmp_path / "socket", says):
        with pytest.raises(SnitchError, match=message) as error, ControlClient(tmp_path / "socket") as client:
            client.ask_one(ReadStatus(), Status)
        assert isinstance(error.value, NotPermitted) == (message == "go away")
        assert error.value.hint


def test_a_daemon_that_is_killed_while_we_ask_has_ended(tmp_path: Path) -> None:
    with (
        OddDaemon(tmp_path / "socket", encode_frame(Welcome()), is_killed=True),
        pytest.raises(DaemonNotRunning, match="ended"),
        ControlClient(tmp_path / "socket") as client,
    ):
        client.ask_one(ReadStatus(), Status)


def test_a_silent_daemon_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with (
        OddDaemon(path, b"", closes=False),
        pytest.raises(SnitchError, match="does not answer"),
        ControlClient(path, timeout_s=0.05) as client,
    ):
        client.ask_one(ReadStatus(), Status)


def test_whoever_finds_no_place_knocks_again(tmp_path: Path) -> None:
    """Any user can fill the queue, over and over."""
    with FullSocket(tmp_path / "s") as full:
        with pytest.raises(SnitchError, match="does not answer"):
            ControlClient(tmp_path / "s", timeout_s=0.1)
        timer = threading.Timer(0.1, full.make_room)
        timer.start()
        with pytest.raises(SnitchError, match="does not answer"):  # it is connected, and gets no welcome
            ControlClient(tmp_path / "s", timeout_s=1.0)
        timer.join()
        full.server.accept()[0].close()
