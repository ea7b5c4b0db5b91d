import asyncio
import errno
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.lab.patience import WAIT_S
from tinysnitch.daemon.logs import log_output
from tinysnitch.daemon.logs.log_output import MAX_PENDING, LogOutput

LINE = b"x" * 999  # with its number and newline: 1007 bytes
TOO_MANY = MAX_PENDING // 1007 + 2000


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        with suppress(OSError):  # closed by the test
            os.close(descriptor)


def fill(log: LogOutput, count: int) -> None:
    for number in range(count):
        log.write(b"%06d " % number + LINE)
        log.flush()


async def read_all(reader: int, size: int) -> bytes:
    """Read as much as this, beginning only now."""
    os.set_blocking(reader, False)
    read = bytearray()
    async with asyncio.timeout(WAIT_S):
        while len(read) < size:
            await asyncio.sleep(0)  # the loop sends the rest
            with suppress(BlockingIOError):
                read += os.read(reader, 65536)
    return bytes(read)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path)], check=True)
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_lines_are_written_in_order(pipe: tuple[int, int]) -> None:
    log = LogOutput(pipe[1])
    log.write(b"one")
    log.write(b"two")
    log.flush()
    log.close()
    assert os.read(pipe[0], 100) == b"one\ntwo\n"


def test_a_reader_that_stops_never_blocks_us_and_the_lost_lines_are_counted(pipe: tuple[int, int]) -> None:
    async def session() -> None:
        log = LogOutput(pipe[1])
        fill(log, TOO_MANY)
        assert log.lost > 1000
        lines = (await read_all(pipe[0], (TOO_MANY - log.lost) * 1007)).splitlines()
        assert len(lines) == TOO_MANY - log.lost
        assert lines == [b"%06d " % number + LINE for number in range(len(lines))]
        fill(log, 200)  # more than the pipe takes, once more
        assert (await read_all(pipe[0], 200 * 1007)).endswith(b"000199 " + LINE + b"\n")
        assert not asyncio.get_running_loop().remove_writer(log._fd)  # else the loop would turn for ever
        log.close()

    asyncio.run(session())


def test_a_reader_that_goes_on_is_served_before_the_loop_comes_around(pipe: tuple[int, int]) -> None:
    async def session() -> None:
        log = LogOutput(pipe[1])
        os.set_blocking(pipe[0], False)
        fill(log, 200)  # more than a pipe holds: from here on it waits
        read = os.read(pipe[0], 1 << 20)
        log.flush()
        assert len(read) + len(os.read(pipe[0], 1 << 20)) > 100_000
        log.close()

    asyncio.run(session())


def test_where_the_loop_cannot_watch_the_reader_the_next_flush_sends_the_rest(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """epoll_ctl(2): ENOSPC. If flush() raised, the history would not be written, or the loop might end."""

    def refuse(*_watch: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def session() -> None:
        log = LogOutput(pipe[1])
        monkeypatch.setattr(asyncio.get_running_loop(), "add_writer", refuse)
        fill(log, 100)
        assert len(os.read(pipe[0], 1 << 20)) < 100 * 1007
        monkeypatch.undo()
        log.flush()
        assert os.read(pipe[0], 1 << 20).endswith(LINE + b"\n")
        assert log.lost == 0
        log.close()

    asyncio.run(session())


def test_a_slow_reader_gets_the_end_in_whole_lines(pipe: tuple[int, int]) -> None:
    log = LogOutput(pipe[1])
    for number in range(500):  # half a megabyte, of which the pipe takes 64 KiB at once
        log.write(b"%06d " % number + LINE)
    os.close(pipe[1])
    with open(pipe[0], "rb", closefd=False) as file, ThreadPoolExecutor() as pool:
        read = pool.submit(file.read)
        log.close()
        assert read.result() == b"".join(b"%06d %s\n" % (number, LINE) for number in range(500))


def test_a_reader_that_stops_holds_the_end_up_for_a_moment_only(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_output, "CLOSE_S", 0.1)
    log = LogOutput(pipe[1])
    for _ in range(100):
        log.write(LINE)
    begun_s = time.monotonic()
    log.close()
    assert 0.1 <= time.monotonic() - begun_s < WAIT_S
    assert log.lost == 100 - os.read(pipe[0], 1 << 20).count(b"\n") > 0


def test_a_reader_that_is_gone_costs_the_lines_only(pipe: tuple[int, int]) -> None:
    async def session() -> None:
        log = LogOutput(pipe[1])
        fill(log, 200)
        os.close(pipe[0])
        for _ in range(3):
            await asyncio.sleep(0)
        lost = log.lost
        assert lost > 100
        fill(log, 1)
        assert log.lost == lost + 1
        log.close()

    asyncio.run(session())


def test_the_flag_is_not_set_on_a_descriptor_that_is_shared(pipe: tuple[int, int]) -> None:
    LogOutput(pipe[1]).close()
    assert os.get_blocking(pipe[1])


def test_a_socket_cannot_be_opened_anew() -> None:
    """For example the journal's. It has O_NONBLOCK as long as we use it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        log = LogOutput(ours.fileno())
        assert not os.get_blocking(ours.fileno())
        log.write(b"line")
        log.flush()
        log.close()
        assert theirs.recv(100) == b"line\n"
        assert os.get_blocking(ours.fileno())


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before\n")
    with path.open("ab") as file:
        log = LogOutput(file.fileno())
    log.write(b"after")
    log.flush()
    log.close()
    assert path.read_bytes() == b"before\nafter\n"


def test_what_others_write_to_the_file_does_not_overwrite_the_log(tmp_path: Path) -> None:
    """`{ tinysnitchd; echo end; } >file 2>&1`: both share one offset in the file."""
    with (tmp_path / "log").open("wb", buffering=0) as file:
        file.write(b"begin\n")
        log = LogOutput(file.fileno())
        log.write(b"line")
        log.flush()
        log.close()
        file.write(b"end\n")
    assert (tmp_path / "log").read_bytes() == b"begin\nline\nend\n"


def test_a_full_disk_costs_the_lines_only() -> None:
    with open("/dev/full", "wb") as full:
        log = LogOutput(full.fileno())
    fill(log, 3)
    assert (log.lost, log.failure and log.failure.strerror) == (3, "No space left on device")
    log.close()


@pytest.mark.privileged
def test_after_a_half_written_line_the_next_is_whole(small_disk: Path) -> None:
    """The disk gets full in the middle of a line, and has room again later."""

    async def session() -> None:
        with (small_disk / "log").open("ab") as file:
            log = LogOutput(file.fileno())
        fill(log, 100)
        (small_disk / "ballast").unlink()
        log.write(b"whole again")
        log.flush()
        log.close()
        assert log.lost > 0

    (small_disk / "ballast").write_bytes(bytes(32768))
    asyncio.run(session())
    assert (small_disk / "log").read_bytes().splitlines()[-1] == b"whole again"


def test_what_waits_is_bounded(pipe: tuple[int, int]) -> None:
    log = LogOutput(pipe[1])
    log.write(bytes(MAX_PENDING))
    log.write(b"short")
    log.close()
    assert log.lost == 1
    assert os.read(pipe[0], 100) == b"short\n"
