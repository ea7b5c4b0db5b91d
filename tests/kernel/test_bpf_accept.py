"""accept.bpf.c: whose a socket that listens is once somebody takes a connection from it."""

import subprocess
from pathlib import Path

import pytest

from tests.kernel.bpf_place import Agent, BpfPlace
from tests.kernel.pinned_tables import find_listener
from tests.lab.patience import wait_until
from tinysnitch.core.flow import TCP, parse_address
from tinysnitch.kernel.bpf_programs import BpfPrograms

pytestmark = pytest.mark.privileged

NOBODY = 65534
DESCRIPTORS = 1024  # looked at: bpf/owner.bpf.h
CLOSING = Path(__file__).parents[1] / "evasion" / "programs" / "closing.c"
ROUNDS = 300_000  # a second; the first that comes through is among the first thousands
LOCAL = pytest.mark.parametrize(
    ("family", "bound", "address"),
    [
        ("AF_INET", "127.0.0.1", "127.0.0.1"),
        ("AF_INET", "0.0.0.0", "127.0.0.1"),
        ("AF_INET6", "::", "::1"),
        ("AF_INET6", "::", "::ffff:127.0.0.1"),
    ],
)


class Server:
    def __init__(self, place: BpfPlace, programs: BpfPrograms, family: str, bound: str) -> None:
        self.agent = place.start_agent()
        self._programs = programs
        self._bound = parse_address(bound)
        self.handle, self._cookie = self.agent.call("open_socket", family, "SOCK_STREAM")
        self.port = self.agent.call("bind", self.handle, bound, 0)
        self.agent.call("listen", self.handle)

    def owner(self) -> tuple[int, int]:
        """pid and uid, as both tables have them."""
        owner = self._programs.find_owner(self._cookie)
        listener = find_listener(self._programs, TCP, self.port, self._bound)
        return (owner.pid, owner.uid) if owner and listener and listener.owner == owner else (0, 0)


def connect(agent: Agent, family: str, address: str, port: int) -> int:
    """Its handle."""
    handle, _cookie = agent.call("open_socket", family, "SOCK_STREAM")
    assert agent.call("connect", handle, address, port) == ""
    return int(handle)


@LOCAL
def test_it_is_of_who_accepts(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, family: str, bound: str, address: str
) -> None:
    server = Server(place, programs, family, bound)
    worker = server.agent.call("accept_as", server.handle, NOBODY)
    connect(agent, family, address, server.port)
    wait_until(lambda: server.owner() == (worker, NOBODY))
    server.agent.call("end_children")


@pytest.mark.parametrize("is_beyond", [False, True])
def test_who_asks_for_the_remote_of_a_connection_does_not_listen(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, *, is_beyond: bool
) -> None:
    """As those do that a server hands its connections to; also with more descriptors than are looked at."""
    server = Server(place, programs, "AF_INET", "0.0.0.0")
    connect(agent, "AF_INET", "127.0.0.1", server.port)
    accepted = server.agent.call("accept", server.handle)
    if is_beyond:
        accepted = server.agent.call("move", accepted, DESCRIPTORS)
    server.agent.call("ask_peer_as", accepted, NOBODY)
    assert server.owner() == (server.agent.pid, 0)


def test_who_closes_a_connection_while_it_asks_does_not_listen(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, tmp_path: Path
) -> None:
    """The kernel answers for a socket that its process has no more: as if it were being accepted."""
    subprocess.run(
        ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", tmp_path / "it", CLOSING], check=True
    )
    server = Server(place, programs, "AF_INET", "0.0.0.0")
    connect(agent, "AF_INET", "127.0.0.1", server.port)
    accepted = server.agent.call("accept", server.handle)
    assert server.agent.call("run_with", accepted, str(tmp_path / "it"), str(accepted), str(ROUNDS)) == 0
    assert server.owner() == (server.agent.pid, 0)


def test_of_workers_that_run_the_same_as_the_same_user_none_replaces_the_other(
    place: BpfPlace, programs: BpfPrograms, agent: Agent
) -> None:
    server = Server(place, programs, "AF_INET", "0.0.0.0")
    server.agent.call("accept_as", server.handle, 0)
    client = connect(agent, "AF_INET", "127.0.0.1", server.port)
    assert agent.call("receive", client) == "x"  # the worker has asked whose the other end is
    assert server.owner() == (server.agent.pid, 0)
    server.agent.call("end_children")
