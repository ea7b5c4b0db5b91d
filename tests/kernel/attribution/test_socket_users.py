import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.bpf.attribution_table import DictTable
from tests.kernel.attribution.scan_patience import PatientUsers
from tests.kernel.attribution.test_socket_holders import inode_of
from tests.lab.patience import WAIT_S
from tinysnitch.kernel.attribution.socket_holders import ScanNotDue
from tinysnitch.kernel.attribution.socket_users import ON_ITS_WAY_S, SocketUsers
from tinysnitch.kernel.bpf.structs import Owner, ProcessEntry
from tinysnitch.kernel.proc import procfs

GONE = Owner(99, 5, 2**22 + 1, 0)
SLEEP = ["sleep", "60"]


@pytest.fixture
def table() -> DictTable:
    made = DictTable()
    made.processes[os.getpid()] = ProcessEntry(100, 7)
    return made


@pytest.fixture
def own() -> Owner:
    return Owner(100, 7, os.getpid(), os.getuid())


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def start_holder(table: DictTable, server: socket.socket, entry: ProcessEntry, **how: int) -> subprocess.Popen[bytes]:
    holder = subprocess.Popen(SLEEP, pass_fds=[server.fileno()], **how)  # type: ignore[call-overload]
    table.processes[holder.pid] = entry
    return holder


def end(*holders: subprocess.Popen[bytes]) -> None:
    for holder in holders:
        holder.kill()
        holder.wait(timeout=WAIT_S)


def test_an_owner_who_holds_it_is_proved_without_a_scan(
    table: DictTable, server: socket.socket, own: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procfs, "list_processes", None)
    assert PatientUsers(table).find_user(own, inode_of(server)) == own


def test_an_owner_stays_as_it_was_noted_though_its_start_is_known_to_the_nanosecond_by_now(
    table: DictTable, server: socket.socket
) -> None:
    noted = Owner(100, 0, os.getpid(), os.getuid())
    assert PatientUsers(table).find_user(noted, inode_of(server)) == noted


@pytest.mark.parametrize("noted", [Owner(99, 7, os.getpid(), os.getuid()), Owner(100, 7, os.getpid(), 12345)])
def test_an_owner_who_runs_another_program_or_is_another_user_now(
    table: DictTable, server: socket.socket, own: Owner, noted: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procfs, "list_processes", None)
    assert PatientUsers(table).find_user(noted, inode_of(server)) == own


def test_the_newest_holder_has_what_its_owner_left(table: DictTable, server: socket.socket) -> None:
    older, newer = (start_holder(table, server, ProcessEntry(101 + at, 10 + at)) for at in range(2))
    found = PatientUsers(table).find_user(GONE, inode_of(server))
    assert found == Owner(102, 11, newer.pid, os.getuid())
    end(older, newer)


def test_init_keeps_it_for_others(table: DictTable, server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinysnitch.kernel.proc.procfs.INIT", os.getpid())
    table.processes[os.getpid()] = ProcessEntry(100, 2**60)
    holder = start_holder(table, server, ProcessEntry(101, 10))
    users = PatientUsers(table)
    found = users.find_user(GONE, inode_of(server))
    assert found
    assert found.pid == holder.pid
    end(holder)
    found = users.find_user(found, inode_of(server))
    assert found
    assert found.pid == os.getpid()


def test_nobody_has_what_is_held_by_none_or_by_processes_that_were_not_seen(
    table: DictTable, server: socket.socket, own: Owner
) -> None:
    inode = inode_of(server)
    assert PatientUsers(table).find_user(own, 0) is None
    assert PatientUsers(table).find_user(GONE, 2**40) is None
    table.processes.clear()
    assert PatientUsers(table).find_user(own, inode) is None
    assert PatientUsers(table).find_user(GONE, inode) is None


def test_who_has_it_and_is_not_known_is_not_taken_for_another_who_has_it(
    table: DictTable, server: socket.socket, own: Owner
) -> None:
    holder = start_holder(table, server, ProcessEntry(101, 10))
    del table.processes[os.getpid()]
    assert PatientUsers(table).find_user(own, inode_of(server)) is None
    end(holder)


def test_what_is_on_its_way_is_of_who_receives_it_in_a_moment(
    table: DictTable, server: socket.socket, own: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that was sent by SCM_RIGHTS and closed has no holder."""
    monkeypatch.setattr(procfs, "list_processes", lambda: [os.getpid()])
    now_s = 0.0
    users, inode, uid = SocketUsers(table, lambda: now_s), inode_of(server), os.getuid()
    with ExitStack() as stack:
        ours, others = map(stack.enter_context, socket.socketpair())
        for _ in range(2):  # that it was on its way before does not count
            socket.send_fds(ours, [b"x"], [server.fileno()])
            server.close()
            with pytest.raises(ScanNotDue) as early:
                users.find_user(own, inode, uid)
            assert early.value.wait_s == ON_ITS_WAY_S
            server = stack.enter_context(socket.socket(fileno=socket.recv_fds(others, 1, 1)[1][0]))
            assert users.find_user(own, inode, uid) == own
            now_s += ON_ITS_WAY_S


def test_who_ends_leaves_it_to_others_though_it_still_has_the_descriptor(
    table: DictTable, server: socket.socket, own: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = start_holder(table, server, ProcessEntry(101, 10))
    owner, users = Owner(101, 10, holder.pid, os.getuid()), PatientUsers(table)
    monkeypatch.setattr(procfs, "is_ending", lambda pid: pid == holder.pid)
    assert users.find_user(owner, inode_of(server)) == owner  # another thread of it lives
    assert not users.is_ending(owner)
    del table.processes[holder.pid]
    assert users.is_ending(owner)
    assert users.find_user(owner, inode_of(server)) == own
    end(holder)
