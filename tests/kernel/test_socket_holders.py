import os
import socket
import subprocess
from contextlib import ExitStack

import pytest

from tinysnitch.kernel import procfs
from tinysnitch.kernel.socket_holders import ScanNotDue, SocketHolders


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1.0  # a scan takes a second
        return self.now_s


def inode_of(opened: socket.socket) -> int:
    return os.fstat(opened.fileno()).st_ino


def test_the_holder_is_found_until_it_closes() -> None:
    clock = Clock()
    holders = SocketHolders(clock)
    with socket.socket() as opened, socket.socket():  # another one, which says nothing of it
        inode = inode_of(opened)
        assert holders.find_holders(inode) == [os.getpid()]
        assert holders.is_held(os.getpid(), inode)
        opened.close()
        assert not holders.is_held(os.getpid(), inode)
    clock.now_s = 10.0
    assert holders.find_holders(inode) == []


def test_a_holder_is_looked_at_where_it_had_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    holders = SocketHolders()
    with socket.socket() as opened:
        assert holders.is_held(os.getpid(), inode_of(opened))
        with monkeypatch.context() as patch:
            patch.setattr(procfs, "find_socket", None)
            assert holders.is_held(os.getpid(), inode_of(opened))
        with opened.dup() as moved:
            opened.close()
            assert holders.is_held(os.getpid(), inode_of(moved))


def test_a_long_look_in_vain_is_not_repeated_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is one for another socket of that process; others are looked through as ever."""
    looks: list[int] = []
    now_s = 0.0

    def look(pid: int, _inode: int, _limit: int) -> str | None:
        nonlocal now_s
        looks.append(pid)
        now_s += 0.05 if pid == 1 else 0.001
        return None

    monkeypatch.setattr(procfs, "find_socket", look)
    holders = SocketHolders(look_clock=lambda: now_s)
    assert not any(holders.is_held(pid, inode) for pid in (1, 1, 2, 2) for inode in (10, 11))
    assert looks == [1, 2, 2, 2, 2]
    now_s += 0.45
    assert not holders.is_held(1, 10)
    assert looks == [1, 2, 2, 2, 2, 1]


def test_scans_take_a_third_of_the_time_and_what_is_asked_meanwhile_waits() -> None:
    clock = Clock()
    holders = SocketHolders(clock)
    with socket.socket() as first:
        assert holders.find_holders(inode_of(first)) == [os.getpid()]  # scanned until 2 s, next at 4 s
        with socket.socket() as second:
            with pytest.raises(ScanNotDue) as early:
                holders.find_holders(inode_of(second))
            assert early.value.wait_s == 1.0
            assert holders.find_holders(inode_of(second)) == [os.getpid()]


def test_all_that_wait_are_answered_by_one_scan() -> None:
    """Also by nobody: else each that is gone would cost a scan of its own."""
    clock = Clock()
    holders = SocketHolders(clock)
    holders.find_holders(1)
    with ExitStack() as stack:
        waiting = [inode_of(stack.enter_context(socket.socket())) for _ in range(20)]
        gone = [2**40, 2**40, 2**40 + 1]
        for inode in waiting + gone:
            clock.now_s = 2.5
            with pytest.raises(ScanNotDue):
                holders.find_holders(inode)
        clock.now_s = 4.0
        assert [holders.find_holders(inode) for inode in waiting] == [[os.getpid()]] * 20
        assert [holders.find_holders(inode) for inode in gone] == [[], [], []]
        assert clock.now_s == 6.0  # looked at when the scan began and when it ended
    with pytest.raises(ScanNotDue):
        holders.find_holders(gone[0])  # another packet, which came after


def test_who_was_handed_the_socket_is_found_when_the_first_has_closed_it() -> None:
    clock = Clock()
    holders = SocketHolders(clock)
    with socket.socket() as opened:
        inode = inode_of(opened)
        assert holders.find_holders(inode) == [os.getpid()]
        other = subprocess.Popen(["sleep", "30"], pass_fds=[opened.fileno()])
    clock.now_s = 10.0
    assert holders.find_holders(inode) == [other.pid]
    other.kill()
    other.wait()


def test_nobody_holds_it() -> None:
    assert SocketHolders().find_holders(2**40) == []
