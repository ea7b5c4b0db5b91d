"""inherited.bpf.h: whose a bound socket is after an exec.

The tests wait for it: the parent goes on before the kernel tells of the exec (begin_new_exec(), exec_binprm()).
"""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bpf.bpf_place import Agent
from tests.bpf.pinned_tables import find_listener, forget_socket, is_shared, read_changes
from tests.lab.patience import wait_until
from tinysnitch.core.model.flow import UDP, parse_address
from tinysnitch.kernel.bpf.programs import BpfPrograms

pytestmark = pytest.mark.privileged

DESCRIPTORS = 1024  # of a process, that are searched: bpf/identity/owner.bpf.h
SLEEP = ("/usr/bin/sleep", "60")
EXECUTES_ANEW = ("/usr/bin/sh", "-c", "kill -STOP $$; exec sleep 60")


@pytest.fixture
def bound(programs: BpfPrograms, agent: Agent) -> Iterator[tuple[int, int, int]]:
    """Handle, cookie and port of the agent's socket."""
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    port = agent.call("bind", handle, "0.0.0.0", 0)
    yield handle, cookie, port
    agent.call("end_children")


def owner_pid(programs: BpfPrograms, cookie: int, port: int) -> int:
    """0 unless both tables have the same owner."""
    owner = programs.find_owner(cookie)
    listener = find_listener(programs, UDP, port, parse_address("0.0.0.0"))
    return owner.pid if owner and listener and listener.owner == owner else 0


@pytest.mark.parametrize(("front", "uid"), [((), 0), (("/usr/bin/setpriv", "--reuid=65534", "--clear-groups"), 65534)])
def test_a_program_that_is_executed_with_a_bound_socket_becomes_its_owner(
    programs: BpfPrograms, agent: Agent, bound: tuple[int, int, int], front: tuple[str, ...], uid: int
) -> None:
    handle, cookie, port = bound
    heir = agent.call("spawn_with", handle, *front, *SLEEP)
    wait_until(lambda: owner_pid(programs, cookie, port) == heir and owner_uid(programs, cookie) == uid)
    process = programs.find_process(heir)
    owner = programs.find_owner(cookie)
    assert process
    assert owner
    assert (owner.exec_id, owner.started_ns) == (process.exec_id, process.started_ns)
    assert not is_shared(programs, UDP, port, parse_address("0.0.0.0"))


def owner_uid(programs: BpfPrograms, cookie: int) -> int | None:
    owner = programs.find_owner(cookie)
    return owner.uid if owner else None


@pytest.mark.parametrize("descriptor", [63, 255, DESCRIPTORS - 1])
def test_the_socket_is_found_at_any_descriptor_below_the_limit(
    programs: BpfPrograms, agent: Agent, bound: tuple[int, int, int], descriptor: int
) -> None:
    handle, cookie, port = bound
    heir = agent.call("spawn_with", agent.call("move", handle, descriptor), *SLEEP)
    wait_until(lambda: owner_pid(programs, cookie, port) == heir)


def execute_anew(pid: int) -> None:
    """Lets a process of EXECUTES_ANEW go on, once it has stopped, and waits for its exec."""
    wait_until(lambda: " (sh) T " in Path(f"/proc/{pid}/stat").read_text())
    os.kill(pid, signal.SIGCONT)
    wait_asleep(pid)


def wait_asleep(pid: int) -> None:
    """Waits until the process runs SLEEP and sleeps: by then the kernel has told of the exec (exec_binprm())."""
    wait_until(lambda: " (sleep) S " in Path(f"/proc/{pid}/stat").read_text())


def test_an_owner_that_executes_another_program_stays_the_owner(
    programs: BpfPrograms, agent: Agent, bound: tuple[int, int, int]
) -> None:
    """With the exec id of the new program."""
    handle, cookie, port = bound
    heir = agent.call("spawn_with", handle, *EXECUTES_ANEW)
    wait_until(lambda: owner_pid(programs, cookie, port) == heir)
    execute_anew(heir)
    process, owner = programs.find_process(heir), programs.find_owner(cookie)
    assert process
    assert owner
    assert owner.exec_id == process.exec_id
    assert owner_pid(programs, cookie, port) == heir


def test_a_socket_that_is_closed_on_exec_keeps_its_owner(
    programs: BpfPrograms, agent: Agent, bound: tuple[int, int, int]
) -> None:
    _handle, cookie, port = bound
    agent.call("run_many", 1, "/usr/bin/true")
    assert owner_pid(programs, cookie, port) == agent.pid


def test_a_socket_that_is_not_bound_keeps_its_owner(programs: BpfPrograms, agent: Agent) -> None:
    handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_STREAM")
    wait_asleep(agent.call("spawn_with", handle, *SLEEP))
    owner = programs.find_owner(cookie)
    assert owner
    assert owner.pid == agent.pid
    agent.call("end_children")


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_an_older_process_that_executes_itself_anew_takes_nothing(
    programs: BpfPrograms, agent: Agent, bound: tuple[int, int, int], is_forgotten: bool
) -> None:
    """So does `systemctl --user daemon-reexec`, whose sockets services have already."""
    handle, cookie, port = bound
    older = agent.call("spawn_with", handle, *EXECUTES_ANEW)
    wait_until(lambda: owner_pid(programs, cookie, port) == older)
    heir = agent.call("spawn_with", handle, *SLEEP)
    wait_until(lambda: owner_pid(programs, cookie, port) == heir)
    if is_forgotten:
        forget_socket(programs, cookie)
    execute_anew(older)
    listener = find_listener(programs, UDP, port, parse_address("0.0.0.0"))
    assert listener
    assert listener.owner.pid == heir
    assert is_forgotten or owner_pid(programs, cookie, port) == heir


def test_nor_does_it_take_one_of_several_sockets_that_share_a_port(programs: BpfPrograms, agent: Agent) -> None:
    """The table of ports has the owner of the first of them, which is older than both processes."""
    for _member in range(2):
        handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
        agent.call("set_option", handle, "SOL_SOCKET", socket.SO_REUSEPORT, [1, 0, 0, 0])
        agent.call("bind", handle, "0.0.0.0", 4000)
    older = agent.call("spawn_with", handle, *EXECUTES_ANEW)
    wait_until(lambda: (owner := programs.find_owner(cookie)) is not None and owner.pid == older)
    heir = agent.call("spawn_with", handle, *SLEEP)
    wait_until(lambda: (owner := programs.find_owner(cookie)) is not None and owner.pid == heir)
    execute_anew(older)
    owner = programs.find_owner(cookie)
    agent.call("end_children")
    assert owner
    assert owner.pid == heir


def test_a_port_is_shared_once_one_of_its_sockets_is_handed_on(programs: BpfPrograms, agent: Agent) -> None:
    """Then only the kernel's own look-up tells who takes a packet."""
    handles = [agent.call("open_socket", "AF_INET", "SOCK_DGRAM")[0] for _ in range(2)]
    port, address = 4000, parse_address("0.0.0.0")
    for handle in handles:
        agent.call("set_option", handle, "SOL_SOCKET", socket.SO_REUSEPORT, [1, 0, 0, 0])
        agent.call("bind", handle, "0.0.0.0", port)
    known = find_listener(programs, UDP, port, address)
    assert not is_shared(programs, UDP, port, address)
    for _heir in range(2):  # each is a change, and the first socket keeps its owner
        changes = read_changes(programs, UDP, port, address)
        agent.call("spawn_with", handles[1], *SLEEP)
        wait_until(lambda changes=changes: read_changes(programs, UDP, port, address) != changes)
        assert find_listener(programs, UDP, port, address) == known
    agent.call("close", handles[0])
    changes = read_changes(programs, UDP, port, address)
    agent.call("spawn_with", handles[1], *SLEEP)  # a change even if it is the only one left
    wait_until(lambda: read_changes(programs, UDP, port, address) != changes)
    agent.call("end_children")


def test_the_last_socket_at_a_port_takes_the_port_to_its_new_owner(programs: BpfPrograms, agent: Agent) -> None:
    """Even if it was not the first one there."""
    handles = []
    for _member in range(2):
        handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
        agent.call("set_option", handle, "SOL_SOCKET", socket.SO_REUSEPORT, [1, 0, 0, 0])
        agent.call("bind", handle, "0.0.0.0", 4000)
        handles.append(handle)
    agent.call("close", handles[0])
    heir = agent.call("spawn_with", handles[1], *SLEEP)
    wait_until(lambda: (owner := programs.find_owner(cookie)) is not None and owner.pid == heir)
    wait_until(lambda: owner_pid(programs, cookie, 4000) == heir)
    listener = find_listener(programs, UDP, 4000, parse_address("0.0.0.0"))
    assert listener
    assert listener.cookie == cookie
    assert not is_shared(programs, UDP, 4000, parse_address("0.0.0.0"))
    agent.call("end_children")
