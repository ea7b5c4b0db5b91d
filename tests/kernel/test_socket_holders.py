import os
import socket

from tinysnitch.kernel.socket_holders import SocketHolders, is_held


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1.0  # a scan takes a second
        return self.now_s


def inode_of(opened: socket.socket) -> int:
    return os.fstat(opened.fileno()).st_ino


def test_the_holder_is_found_until_it_closes() -> None:
    holders = SocketHolders()
    with socket.socket() as opened:
        inode = inode_of(opened)
        assert holders.find_holders(inode) == [os.getpid()]
        assert is_held(os.getpid(), inode)
    assert holders.find_holders(inode) == []


def test_scans_take_a_third_of_the_time() -> None:
    clock = Clock()
    holders = SocketHolders(clock)
    with socket.socket() as first:
        assert holders.find_holders(inode_of(first)) == [os.getpid()]  # scanned until 2 s, next at 4 s
        with socket.socket() as second:
            assert holders.find_holders(inode_of(second)) == []
            clock.now_s = 4.0
            assert holders.find_holders(inode_of(second)) == [os.getpid()]


def test_nobody_holds_it() -> None:
    assert SocketHolders().find_holders(2**40) == []
