"""accept.bpf.c: a process that accepts a connection becomes the owner of the listening socket."""

import subprocess
from pathlib import Path

import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.pinned_tables import find_listener
from tests.lab.patience import wait_until
from tinysnitch.core.model.flow import TCP, parse_address
from tinysnitch.kernel.bpf.programs import BpfPrograms

pytestmark = pytest.mark.privileged

NOBODY = 65534
DESCRIPTORS = 1024  # of a process, that are searched: bpf/identity/owner.bpf.h
CLOSING = Path(__file__).parents[1] / "evasion" / "programs" / "closing.c"
ROUNDS = 300_000  # take a second; without the check one of the first thousands succeeds
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
        """pid and uid of the owner; (0, 0) unless both tables have the same."""
        owner = self._programs.find_owner(self._cookie)
        listener = find_listener(self._programs, TCP, self.port, self._bound)
        return (owner.pid, owner.uid) if owner and listener and listener.owner == owner else (0, 0)


def connect(agent: Agent, family: str, address: str, port: int) -> int:
    """The handle of the connected socket."""
    handle, _cookie = agent.call("open_socket", family, "SOCK_STREAM")
    assert agent.call("connect", handle, address, port) == ""
    return int(handle)


@LOCAL
def test_a_process_that_accepts_becomes_the_owner(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, family: str, bound: str, address: str
) -> None:
    server = Server(place, programs, family, bound)
    worker = server.agent.call("accept_as", server.handle, NOBODY)
    connect(agent, family, address, server.port)
    wait_until(lambda: server.owner() == (worker, NOBODY))
    server.agent.call("end_children")


@pytest.mark.parametrize("is_beyond", [False, True])
def test_a_process_that_asks_for_the_remote_does_not_become_the_owner(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, *, is_beyond: bool
) -> None:
    """So does a worker that a server hands its connections to. Also with more descriptors than are searched."""
    server = Server(place, programs, "AF_INET", "0.0.0.0")
    connect(agent, "AF_INET", "127.0.0.1", server.port)
    accepted = server.agent.call("accept", server.handle)
    if is_beyond:
        accepted = server.agent.call("move", accepted, DESCRIPTORS)
    server.agent.call("ask_peer_as", accepted, NOBODY)
    assert server.owner() == (server.agent.pid, 0)


def test_a_connection_closed_while_its_remote_is_asked_for_is_not_taken_for_an_accepted_one(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, tmp_path: Path
) -> None:
    """Another thread closes it during getpeername(): it has no descriptor then, as one that is being accepted."""
    subprocess.run(
        ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", tmp_path / "it", CLOSING], check=True
    )
    server = Server(place, programs, "AF_INET", "0.0.0.0")
    connect(agent, "AF_INET", "127.0.0.1", server.port)
    accepted = server.agent.call("accept", server.handle)
    assert server.agent.call("run_with", accepted, str(tmp_path / "it"), str(accepted), str(ROUNDS)) == 0
    assert server.owner() == (server.agent.pid, 0)


def test_a_worker_of_the_same_program_and_user_does_not_replace_the_owner(
    place: BpfPlace, programs: BpfPrograms, agent: Agent
) -> None:
    server = Server(place, programs, "AF_INET", "0.0.0.0")
    server.agent.call("accept_as", server.handle, 0)
    client = connect(agent, "AF_INET", "127.0.0.1", server.port)
    assert agent.call("receive", client) == "x"  # by now the worker has accepted
    assert server.owner() == (server.agent.pid, 0)
    server.agent.call("end_children")
