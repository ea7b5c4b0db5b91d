"""A judged command inherits pipes, files and local sockets, but no network sockets."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tinysnitch.cli.outside_sockets import keep_back_sockets, tell_of_engine


@pytest.fixture
def given() -> Iterator[list[int]]:
    """Inheritable descriptors of a file and of sockets, by their kind."""
    with ExitStack() as undo:
        made: list[int] = []

        def give(descriptor: int) -> None:
            copy = os.dup(descriptor)
            os.set_inheritable(copy, True)
            undo.callback(close_if_open, copy)
            made.append(copy)

        with open(os.devnull) as file:
            give(file.fileno())
        for family in (socket.AF_UNIX, socket.AF_NETLINK, socket.AF_INET, socket.AF_INET6):
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                give(sock.fileno())
        yield made


def close_if_open(descriptor: int) -> None:
    if is_open(descriptor):
        os.close(descriptor)


def is_open(descriptor: int) -> bool:
    return os.path.lexists(f"/proc/self/fd/{descriptor}")


def test_sockets_of_the_network_are_closed_and_told(given: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    keep_back_sockets()
    assert [is_open(each) for each in given] == [True, True, True, False, False]
    told = capsys.readouterr().err.splitlines()
    assert sorted(told) == sorted(
        f"tinysnitch: descriptor {each} is a network socket made outside, which cannot be judged: it was closed"
        for each in given[3:]
    )


def test_our_own_sockets_stay(capsys: pytest.CaptureFixture[str]) -> None:
    """No command inherits them."""
    with socket.socket() as own:
        keep_back_sockets()
        assert is_open(own.fileno())
    assert capsys.readouterr().err == ""


def test_a_standard_stream_stays_and_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    before = os.dup(0)
    try:
        with socket.socket() as sock:
            os.dup2(sock.fileno(), 0)
        keep_back_sockets()
        assert is_open(0)
    finally:
        os.dup2(before, 0)
        os.close(before)
    told = "tinysnitch: standard input is a network socket made outside: what goes through it is not judged\n"
    assert capfd.readouterr().err == told


# Gets the socket at the descriptor of that number. Ends with 7 if it was closed.
GET = """
import os, sys
from tinysnitch.cli.outside_sockets import keep_back_sockets
given, number = map(int, sys.argv[1:])
os.dup2(given, number)
keep_back_sockets()
os._exit(0 if os.path.lexists(f"/proc/self/fd/{number}") else 7)
"""


@pytest.mark.parametrize(("number", "status"), [(0, 0), (1, 0), (2, 0), (3, 7)])
def test_standard_streams_stay_and_what_is_behind_them_does_not(number: int, status: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sock:
        given = sock.fileno()
        got = subprocess.run([sys.executable, "-c", GET, str(given), str(number)], pass_fds=[given], check=False)
    assert got.returncode == status


@pytest.mark.parametrize("command", ["docker", "/usr/bin/podman"])
def test_that_an_engine_has_containers_run_elsewhere_is_told(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    tell_of_engine(command)
    assert "is not judged" in capsys.readouterr().err


def test_of_other_commands_nothing_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    tell_of_engine("/usr/bin/curl")
    assert capsys.readouterr().err == ""
