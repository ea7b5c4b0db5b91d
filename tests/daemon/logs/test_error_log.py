"""Errors are logged without waiting for the reader of standard error."""

import asyncio
import logging
import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.world import WORLD4
from tests.shortage import descriptors_left
from tinysnitch.daemon.logs.error_log import _MAX_KINDS, ErrorLog, log_to_standard_error
from tinysnitch.daemon.logs.log_output import MAX_PENDING

_log = logging.getLogger("tinysnitch.test")
PAGE = 4096


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_warnings_and_asyncios_errors_come_as_lines(pipe: tuple[int, int]) -> None:
    async def run() -> None:
        with ErrorLog(pipe[1]):
            _log.warning("ours: %s", "\udcff")
            _log.info("not this")
            asyncio.get_running_loop().call_exception_handler({"message": "of asyncio"})
        _log.warning("after the end")

    asyncio.run(run())
    assert os.read(pipe[0], PAGE) == b"tinysnitch: ours: \\udcff\ntinysnitch: of asyncio\n"


def test_no_text_steers_the_terminal_that_shows_it(pipe: tuple[int, int], capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters are escaped, while the loop runs and before that."""
    hostile = "/tmp/\x1b]0;title\x07\u202e\x9b2J"
    shown = r"tinysnitch: failed: /tmp/\x1b]0;title\x07\u202e\x9b2J"
    with ErrorLog(pipe[1]):
        try:
            raise OSError(hostile)
        except OSError:
            _log.exception("failed: %s", hostile)
    told = os.read(pipe[0], PAGE).decode().splitlines()
    assert (told[0], told[1]) == (shown, "Traceback (most recent call last):")
    assert told[-1] == shown.replace("tinysnitch: failed", "OSError")
    others, logging.root.handlers[:] = logging.root.handlers[:], []
    try:
        log_to_standard_error()
        _log.warning("failed: %s", hostile)
    finally:
        logging.root.handlers[:] = others
    assert capsys.readouterr().err == f"{shown}\n"


def test_what_asyncio_says_again_and_again_is_told_once_a_second(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example about accept() without descriptors: 3000 lines a second would fill the machine's log."""

    async def run() -> None:
        complain = asyncio.get_running_loop().call_exception_handler
        now_s = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now_s)
        with ErrorLog(pipe[1]) as error_log:
            for number in range(100):
                complain({"message": "out of descriptors", "try": number})
            complain({"message": "something else"})
            complain({"message": "out of descriptors", "try": 100})
            monkeypatch.setattr(time, "monotonic", lambda: now_s + 1)
            complain({"message": "out of descriptors", "try": 101})
            assert error_log.lost == 100

    asyncio.run(run())
    told = os.read(pipe[0], PAGE).decode().splitlines()
    assert told == [
        "tinysnitch: out of descriptors",
        "try: 0",
        "tinysnitch: something else",
        "tinysnitch: out of descriptors",
        "try: 101",
    ]


def test_what_asyncio_says_in_ever_new_words_takes_no_more_memory(pipe: tuple[int, int]) -> None:
    async def run() -> None:
        with ErrorLog(pipe[1]) as error_log:
            for number in range(2 * _MAX_KINDS + 1):
                asyncio.get_running_loop().call_exception_handler({"message": f"{number}"})
                assert len(error_log._next_s) <= _MAX_KINDS
            assert error_log.lost == 0

    asyncio.run(run())


def test_where_asyncio_lacks_something_there_is_no_traceback(pipe: tuple[int, int], tmp_path: Path) -> None:
    async def run() -> None:
        with ErrorLog(pipe[1]):
            server = await asyncio.start_unix_server(lambda _reader, _writer: None, tmp_path / "socket")
            with closing(socket.socket(socket.AF_UNIX)) as client, descriptors_left():
                client.connect(str(tmp_path / "socket"))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            server.close()

    asyncio.run(run())
    told = "socket.accept() out of system resource: [Errno 24] Too many open files"
    assert set(os.read(pipe[0], PAGE).decode().splitlines()) == {f"tinysnitch: {told}"}  # tried again each second


def test_it_stands_in_for_what_would_wait(pipe: tuple[int, int]) -> None:
    root = logging.getLogger()
    before = list(root.handlers)
    with ErrorLog(pipe[1]) as error_log:
        assert root.handlers == [error_log]
    assert root.handlers == before


def test_a_traceback_is_told_too(pipe: tuple[int, int]) -> None:
    with ErrorLog(pipe[1]):
        try:
            raise ZeroDivisionError("by nothing")
        except ZeroDivisionError:
            _log.exception("failed")
    lines = os.read(pipe[0], PAGE).splitlines()
    assert (lines[0], lines[1], lines[-1]) == (
        b"tinysnitch: failed",
        b"Traceback (most recent call last):",
        b"ZeroDivisionError: by nothing",
    )


def test_a_reader_that_stops_holds_nothing_up_and_what_is_lost_is_counted(pipe: tuple[int, int]) -> None:
    async def run() -> None:
        with ErrorLog(pipe[1]) as error_log:
            for _ in range(MAX_PENDING // PAGE + 100):
                _log.warning("x" * PAGE)
            assert error_log.lost > 0
        assert os.get_blocking(pipe[1])

    asyncio.run(run())


def test_a_socket_waits_again_after_the_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with ErrorLog(ours.fileno()):
            assert not os.get_blocking(ours.fileno())
            _log.warning("told")
        assert os.get_blocking(ours.fileno())
        assert theirs.recv(PAGE) == b"tinysnitch: told\n"


def test_a_file_is_left_to_logging_itself(tmp_path: Path) -> None:
    """With an offset of our own, we and other processes would overwrite each other there."""
    handlers = list(logging.getLogger().handlers)
    with (tmp_path / "errors").open("w") as file, ErrorLog(file.fileno()) as error_log:
        assert logging.getLogger().handlers == handlers
        assert error_log.lost == 0


def make_full_pipe(path: Path) -> int:
    """Make a full named pipe; the descriptor of its reader, which never reads."""
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(PAGE))
    os.close(writer)
    return reader


@pytest.mark.privileged
def test_a_full_pipe_on_standard_error_stops_no_verdict_and_no_end(lab: Lab) -> None:
    """`tinysnitchd 2>&1 | less` that nobody scrolls, and a history to warn of. Losses are told with traffic."""
    folder = lab.folder / "daemon"
    folder.mkdir()
    (folder / "rules").write_text("allow - 80 tcp\n")
    reader = make_full_pipe(folder / "stderr")
    daemon = lab.restart_daemon(folder)
    (folder / "stderr").unlink()
    (folder / "stderr").touch()  # read when a failed test is described
    with closing(sqlite3.connect(folder / "state" / "history.sqlite", isolation_level=None)) as history:
        history.execute("begin exclusive")
        while not any(record["what"] == "history rows" for record in daemon.records("lost")):
            assert lab.run(["curl", "-sS", "-m", "5", f"http://{WORLD4}/"]).returncode == 0
        assert daemon.stop() == 0
    os.close(reader)
