"""The service manager is told that the firewall stands, and not earlier: sd_notify(3)."""

import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, wait_until
from tinysnitch.daemon.logs.error_log import ErrorLog
from tinysnitch.daemon.startup.service_notice import ServiceNotice

BIN = Path(sys.executable).parent


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """The socket of a service manager, and its name in NOTIFY_SOCKET."""
    address = f"@tinysnitch-{secrets.token_hex(8)}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(address.replace("@", "\0", 1))
        heard.settimeout(WAIT_S)
        yield heard, address


def test_whoever_started_it_is_told_once(manager: tuple[socket.socket, str]) -> None:
    heard, address = manager
    environment = {"NOTIFY_SOCKET": address, "LANG": "C"}
    ServiceNotice(environment).say_ready()
    assert heard.recv(100) == b"READY=1"
    assert environment == {"LANG": "C"}  # so that its children cannot speak to the service manager


def test_without_a_service_manager_nobody_is_told(caplog: pytest.LogCaptureFixture) -> None:
    ServiceNotice({}).say_ready()
    assert caplog.records == []


def test_one_that_does_not_hear_is_no_end_of_the_firewall(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    with caplog.at_level(logging.WARNING):
        ServiceNotice({"NOTIFY_SOCKET": str(tmp_path / "gone")}).say_ready()
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{tmp_path}/gone: ")


def test_a_start_that_hangs_does_not_keep_others_waiting_for_ever(
    manager: tuple[socket.socket, str], caplog: pytest.LogCaptureFixture
) -> None:
    heard, address = manager
    with caplog.at_level(logging.WARNING):
        ServiceNotice({"NOTIFY_SOCKET": address}, patience_s=0.01)
        assert heard.recv(100) == b"READY=1"
        wait_until(lambda: caplog.records)
    (record,) = caplog.records
    assert record.getMessage().startswith("the start takes long")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nor_does_one_whose_errors_nobody_reads(manager: tuple[socket.socket, str]) -> None:
    """The log is for the loop's thread: without the loop a line that nobody takes cannot wait."""
    heard, address = manager
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    with ErrorLog(writer):
        notice = ServiceNotice({"NOTIFY_SOCKET": address}, patience_s=0.01)
        assert heard.recv(100) == b"READY=1"
        wait_until(lambda: not notice._timer.is_alive())
    os.close(reader)
    os.close(writer)


def test_a_start_that_failed_is_not_told_of(manager: tuple[socket.socket, str]) -> None:
    heard, address = manager
    notice = ServiceNotice({"NOTIFY_SOCKET": address}, patience_s=WAIT_S)
    notice.close()
    wait_until(lambda: not notice._timer.is_alive())
    heard.settimeout(0)
    with pytest.raises(BlockingIOError):
        heard.recv(100)


@pytest.mark.privileged
def test_it_is_told_once_the_rules_are_there_and_rules_can_be_added(lab: Lab) -> None:
    """`systemctl enable --now tinysnitchd && tinysnitch rules add allow - 22 tcp-src`"""
    place = str(lab.folder / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(lab.folder / "notify"))
        heard.settimeout(WAIT_S)
        places = ["--rules", str(lab.folder / "rules"), "--state-dir", str(lab.folder / "state"), "--socket", place]
        front = ["env", f"NOTIFY_SOCKET={lab.folder}/notify"]
        daemon = lab.spawn_outside([*front, str(BIN / "tinysnitchd"), "--cgroup", str(lab.cgroup), *places])
        assert heard.recv(100) == b"READY=1"
        assert "TINYSNITCH" in lab.run_outside(["iptables-save"]).stdout
        words = ["rules", "add", "--socket", place, "allow", "-", "22", "tcp-src"]
        assert lab.run_outside([str(BIN / "tinysnitch"), *words]).returncode == 0
        assert b"NOTIFY_SOCKET" in Path(f"/proc/{daemon.pid}/environ").read_bytes()
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(WAIT_S) == os.EX_OK


@pytest.mark.privileged
def test_the_firewall_of_one_command_does_not_speak_for_the_service_it_runs_in(lab: Lab) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(lab.folder / "notify"))
        heard.settimeout(0)
        front = ["env", f"NOTIFY_SOCKET={lab.folder}/notify", str(BIN / "tinysnitch"), "run", "--"]
        done = lab.run_outside([*front, "printenv", "NOTIFY_SOCKET"])
        assert (done.returncode, done.stdout) == (0, f"{lab.folder}/notify\n"), done.stderr
        with pytest.raises(BlockingIOError):
            heard.recv(100)
