""""""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.bpf.attribution_table import DictTable
from tests.kernel.attribution.scan_patience import PatientUsers
from tests.lab.patience import WAIT_S
from tests.shortage import descriptors_left
from tinysnitch.kernel.attribution import socket_holders
from tinysnitch.kernel.attribution.socket_holders import (
    LONGEST_S,
    MOST_WAITING,
    ON_ITS_WAY_S,
    ScanNotDue,
    SocketHolders,
    SocketUsers,
    TooManyWait,
)
from tinysnitch.kernel.bpf.layout import Owner, ProcessEntry
from tinysnitch.kernel.proc import procfs

ROOT = 0
STEP_S = 0.125


class Clock:
    """A clock that goes on only when descriptors of a process are read, by so much each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step_s: float = 0.0) -> None:
        self.now_s = 0.0
        read = procfs.list_sockets

        def read_slowly(pid: int, limit: int) -> Iterator[tuple[int, int]]:
            self.now_s += step_s
            return read(pid, limit)

        monkeypatch.setattr(procfs, "list_sockets", read_slowly)

    def __call__(self) -> float:
        return self.now_s


def inode_of(opened: socket.socket) -> int:
    return os.fstat(opened.fileno()).st_ino


def test_the_holder_is_found_until_it_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    holders = SocketHolders(Clock(monkeypatch))
    with socket.socket() as opened, socket.socket():  # another one, which says nothing of it
        inode = inode_of(opened)
        assert holders.find_holders(inode, ROOT) == [os.getpid()]
        assert holders.is_held(os.getpid(), inode)
        opened.close()
        assert not holders.is_held(os.getpid(), inode)
    assert holders.find_holders(inode, ROOT) == []


def test_a_scan_leaves_out_nobody_for_want_of_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    holders = SocketHolders(Clock(monkeypatch))
    monkeypatch.setattr(procfs, "list_processes", lambda: [os.getpid()])
    with socket.socket() as opened:
        with descriptors_left(0), pytest.raises(OSError, match="Too many open files"):
            holders.find_holders(inode_of(opened), ROOT)
        assert holders.find_holders(inode_of(opened), ROOT) == [os.getpid()]


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


def test_beyond_what_may_be_spent_only_the_lowest_descriptors_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []
    now_s = 0.0

    def look(_pid: int, _inode: int, limit: int) -> str | None:
        nonlocal now_s
        limits.append(limit)
        now_s += limit * 5e-6
        return None

    monkeypatch.setattr(procfs, "find_socket", look)
    holders = SocketHolders(look_clock=lambda: now_s)
    for inode in range(100):
        assert not holders.is_held(os.getpid(), inode)
    assert limits[0] == 4096
    assert limits[-1] == 256
    assert 0.2 < sum(limit * 5e-6 for limit in limits if limit > 256) < 0.4


def test_a_scan_tells_where_a_socket_is_that_may_not_be_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as opened:
        monkeypatch.setattr(procfs, "find_socket", lambda *_words: None)
        assert SocketHolders(Clock(monkeypatch)).find_holders(inode_of(opened), ROOT) == [os.getpid()]


def test_scans_take_a_third_of_the_time_and_what_is_asked_meanwhile_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Piece by piece. What is asked for in between is answered by the next scan, which finds it."""
    monkeypatch.setattr(procfs, "list_processes", lambda: [os.getpid(), 1])
    clock = Clock(monkeypatch, step_s=STEP_S)
    holders = SocketHolders(clock)
    with socket.socket() as first:
        for pause_s in (3 * STEP_S, 1.5 * STEP_S):
            with pytest.raises(ScanNotDue) as early:
                holders.find_holders(inode_of(first), ROOT)
            assert early.value.wait_s == pause_s
            clock.now_s = 1.5 * STEP_S
        clock.now_s = 3 * STEP_S
        assert holders.find_holders(inode_of(first), ROOT) == [os.getpid()]
        with socket.socket() as second:
            with pytest.raises(ScanNotDue):
                holders.find_holders(inode_of(second), ROOT)
            clock.now_s = 6 * STEP_S
            with pytest.raises(ScanNotDue):
                holders.find_holders(inode_of(second), ROOT)
            clock.now_s = 9 * STEP_S
            assert holders.find_holders(inode_of(second), ROOT) == [os.getpid()]


def test_who_asks_in_the_middle_of_a_scan_waits_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procfs, "list_processes", lambda: [os.getpid(), 1])
    clock = Clock(monkeypatch, step_s=STEP_S)
    holders = SocketHolders(clock)
    first, second = 2**40, 2**40 + 1
    for asked_s, inode in ((0.0, first), (3 * STEP_S, second)):
        clock.now_s = asked_s
        with pytest.raises(ScanNotDue):
            holders.find_holders(inode, ROOT)
    assert holders.find_holders(first, ROOT) == []
    for asked_s in (4 * STEP_S, 6 * STEP_S):
        clock.now_s = asked_s
        with pytest.raises(ScanNotDue):
            holders.find_holders(second, ROOT)
    clock.now_s = 9 * STEP_S
    assert holders.find_holders(second, ROOT) == []


def test_of_no_users_sockets_so_many_wait_for_a_scan_that_others_find_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procfs, "list_processes", lambda: [os.getpid(), 1])
    clock = Clock(monkeypatch, step_s=STEP_S)
    holders = SocketHolders(clock)
    for number in range(MOST_WAITING):
        with pytest.raises(ScanNotDue):
            holders.find_holders(2**40 + number % 2, 1000)
    with pytest.raises(TooManyWait):
        holders.find_holders(2**40, 1000)
    with pytest.raises(ScanNotDue):
        holders.find_holders(2**40, 1001)
    clock.now_s = 3 * STEP_S
    assert holders.find_holders(2**40, 1000) == []  # who waits already is answered
    with pytest.raises(ScanNotDue):
        holders.find_holders(2**41, 1000)


def test_of_sockets_without_an_end_those_that_were_asked_for_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """4,096 sockets that 500 forks of a process share took 138 MB."""
    inodes = range(2**40, 2**40 + 100)
    monkeypatch.setattr(procfs, "list_processes", lambda: [1, 2, 3])
    monkeypatch.setattr(procfs, "list_sockets", lambda _pid, _limit: enumerate(inodes))
    monkeypatch.setattr(socket_holders, "MOST_KEPT", 10)
    holders = SocketHolders()
    monkeypatch.setattr(holders, "is_held", lambda _pid, _inode: True)
    assert sorted(holders.find_holders(inodes[-1], ROOT)) == [1, 2, 3]
    assert sum(map(len, holders._holders.values())) == 10 + 3


def test_that_we_had_no_processor_meanwhile_makes_nobody_wait_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procfs, "list_processes", lambda: [os.getpid()])
    holders = SocketHolders(Clock(monkeypatch, step_s=10.0))
    holders.find_holders(1, ROOT)
    with pytest.raises(ScanNotDue) as early:
        holders.find_holders(1, ROOT)
    assert early.value.wait_s == 2 * LONGEST_S


def test_all_that_wait_are_answered_by_one_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if it has no holder: otherwise each socket that is gone would cost a scan of its own."""
    monkeypatch.setattr(procfs, "list_processes", lambda: [os.getpid()])
    clock = Clock(monkeypatch, step_s=STEP_S)
    holders = SocketHolders(clock)
    holders.find_holders(1, ROOT)
    with ExitStack() as stack:
        waiting = [inode_of(stack.enter_context(socket.socket())) for _ in range(20)]
        gone = [2**40, 2**40, 2**40 + 1]
        for inode in waiting + gone:
            with pytest.raises(ScanNotDue):
                holders.find_holders(inode, ROOT)
        clock.now_s = 3 * STEP_S
        assert [holders.find_holders(inode, ROOT) for inode in waiting] == [[os.getpid()]] * 20
        assert [holders.find_holders(inode, ROOT) for inode in gone] == [[], [], []]
        assert clock.now_s == 4 * STEP_S
    with pytest.raises(ScanNotDue):
        holders.find_holders(gone[0], ROOT)  # another packet, which came after


def test_who_was_handed_the_socket_is_found_when_the_first_has_closed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    holders = SocketHolders(Clock(monkeypatch))
    with socket.socket() as opened:
        inode = inode_of(opened)
        assert holders.find_holders(inode, ROOT) == [os.getpid()]
        other = subprocess.Popen(["sleep", "30"], pass_fds=[opened.fileno()])
    assert holders.find_holders(inode, ROOT) == [other.pid]
    other.kill()
    other.wait(timeout=WAIT_S)


def test_that_nobody_has_it_is_no_answer_to_who_asks_after_it_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two packets waited for the scan that found the holder; then the socket is handed on."""
    clock = Clock(monkeypatch)
    holders = SocketHolders(clock)
    monkeypatch.setattr(procfs, "list_processes", lambda: [os.getpid()])
    with socket.socket() as opened:
        inode = inode_of(opened)
        holders._next_piece_s = STEP_S
        for _ in range(2):
            with pytest.raises(ScanNotDue):
                holders.find_holders(inode, ROOT)
        clock.now_s = STEP_S
        assert [holders.find_holders(inode, ROOT) for _ in range(2)] == [[os.getpid()]] * 2
        other = subprocess.Popen(["sleep", "30"], pass_fds=[opened.fileno()])
    monkeypatch.setattr(procfs, "list_processes", lambda: [other.pid])
    assert holders.find_holders(inode, ROOT) == [other.pid]
    other.kill()
    other.wait(timeout=WAIT_S)


def test_who_is_found_is_told_before_the_scan_is_over_where_one_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procfs, "list_processes", lambda: [1, 2, os.getpid()])
    clock = Clock(monkeypatch, step_s=STEP_S)
    holders = SocketHolders(clock)
    with socket.socket() as opened:
        inode = inode_of(opened)
        for now_s in (0.0, 3 * STEP_S):  # each time anew, for nobody else waits
            clock.now_s = now_s
            assert holders.find_holders(inode, ROOT, os.getpid().__eq__) == [os.getpid()]
        clock.now_s = 6 * STEP_S
        with pytest.raises(ScanNotDue):  # one that ends is not enough
            holders.find_holders(inode, ROOT, (1).__eq__)
    with pytest.raises(ScanNotDue):  # it is closed
        holders.find_holders(inode, ROOT, os.getpid().__eq__)


def test_nobody_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SocketHolders(Clock(monkeypatch)).find_holders(2**40, ROOT) == []


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
