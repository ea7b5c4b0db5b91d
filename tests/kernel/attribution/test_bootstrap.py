import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.bpf.attribution_table import DictTable
from tests.kernel.attribution.test_attribution import cookie_of
from tests.lab.patience import WAIT_S, read_line, wait_until
from tinysnitch.core.model.flow import ICMP, TCP, UDP
from tinysnitch.kernel.attribution import bootstrap as bootstrapping
from tinysnitch.kernel.attribution.bootstrap import add_processes, add_sockets, bootstrap
from tinysnitch.kernel.bpf.images import Image
from tinysnitch.kernel.bpf.layout import IMAGE_BOOTSTRAPPED, IMAGE_USER_NAMESPACE, Listener, ProcessEntry
from tinysnitch.kernel.netlink.sock_diag import ALL_STATES, DiagSocket, SocketDiag
from tinysnitch.kernel.proc import procfs


@pytest.fixture
def table() -> DictTable:
    return DictTable()


def bootstrap_all(table: DictTable) -> None:
    with SocketDiag() as sockets:
        bootstrap(table, sockets)


def test_processes_are_written_with_their_parents(table: DictTable) -> None:
    bootstrap_all(table)
    entry = table.processes[os.getpid()]
    image = table.images[entry.exec_id]
    assert image.executable == os.path.realpath(sys.executable)
    assert image.flags & IMAGE_BOOTSTRAPPED
    assert image.parent_exec_id == table.processes[os.getppid()].exec_id
    assert 2 not in table.processes  # a kernel thread


@pytest.mark.privileged
def test_another_user_namespace_is_noted(table: DictTable) -> None:
    with subprocess.Popen(["unshare", "--user", "sh", "-c", "echo; read x"], stdin=-1, stdout=-1, text=True) as started:
        read_line(started)
        add_processes(table)
        started.kill()
    flags = [table.images[table.processes[pid].exec_id].flags for pid in (os.getpid(), started.pid)]
    assert [flag & IMAGE_USER_NAMESPACE for flag in flags] == [0, IMAGE_USER_NAMESPACE]


def test_what_the_kernel_saw_is_not_overwritten(table: DictTable) -> None:
    table.processes[os.getpid()] = ProcessEntry(16, 17)
    bootstrap_all(table)
    assert table.processes[os.getpid()] == ProcessEntry(16, 17)


def test_a_process_whose_image_finds_no_room_stays_unknown(table: DictTable) -> None:
    """Otherwise BPF would note packets as those of a program without an image."""
    table.is_full = True
    bootstrap_all(table)
    assert (table.processes, table.images) == ({}, {})


def test_a_process_that_ends_meanwhile_is_not_left(table: DictTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hook would remove it again. It may still have a pid, until its parent waits for it."""
    with subprocess.Popen(["sleep", "30"]) as started:
        add_image = table.add_image

        def end_it(image: Image) -> int:
            if image.pid == started.pid:
                started.kill()
                os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
            return add_image(image)

        monkeypatch.setattr(table, "add_image", end_it)
        add_processes(table)
    assert started.pid not in table.processes
    assert os.getpid() in table.processes


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_socket_that_is_closed_meanwhile_is_not_left(
    table: DictTable, kind: socket.SocketKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_INET, kind) as closed, socket.socket(socket.AF_INET, kind) as left:
        for opened in (closed, left):
            opened.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                opened.listen()
        cookies, add_owner = (cookie_of(closed), cookie_of(left)), table.add_owner

        def close_it(cookie: int, *rest: Any) -> bool:  # noqa: ANN401
            if cookie == cookies[0]:
                closed.close()
            return add_owner(cookie, *rest)

        monkeypatch.setattr(table, "add_owner", close_it)
        bootstrap_all(table)
        noted = [listener.cookie for listener in table.listeners.values()]
        assert [noted.count(cookie) for cookie in cookies] == [0, 1]


def test_a_socket_that_a_long_list_leaves_out_is_asked_for(table: DictTable) -> None:
    """The list comes in parts, between which sockets are opened and closed."""

    class Forgetful(SocketDiag):
        lists = 0

        def list_sockets(self, protocol: int, local_port: int = 0, states: int = ALL_STATES) -> list[DiagSocket]:
            self.lists += not local_port
            return super().list_sockets(protocol, local_port, states) if local_port or self.lists <= 2 else []

    with socket.create_server(("127.0.0.1", 0)) as server, Forgetful() as sockets:
        bootstrap(table, sockets)
        assert cookie_of(server) in [listener.cookie for listener in table.listeners.values()]
        assert sockets.lists == 4


def test_a_second_pass_finds_the_processes_of_the_meantime(table: DictTable) -> None:
    add_processes(table)
    with subprocess.Popen(["sleep", "30"]) as started:
        wait_until(Path(f"/proc/{started.pid}/cmdline").read_bytes)  # in the middle of an exec there are none
        add_processes(table)
        started.kill()
    assert table.images[table.processes[started.pid].exec_id].args[:2] == ("sleep", "30")


def test_who_comes_during_the_first_pass_is_found(table: DictTable, monkeypatch: pytest.MonkeyPatch) -> None:
    list_processes, started = procfs.list_processes, list[subprocess.Popen[bytes]]()

    def list_before_one_more() -> list[int]:
        pids = list_processes()
        if not started:
            started.append(subprocess.Popen(["sleep", "30"]))
        return pids

    monkeypatch.setattr(procfs, "list_processes", list_before_one_more)
    bootstrap_all(table)
    started[0].kill()
    started[0].wait(timeout=WAIT_S)
    assert started[0].pid in table.processes


def test_a_socket_that_nobody_holds_may_be_the_kernels(table: DictTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procfs, "list_processes", list[int])
    with socket.create_server(("127.0.0.1", 0)):
        bootstrap_all(table)
    assert table.has_looked_at_the_kernels


@pytest.mark.parametrize(("kind", "protocol"), [(socket.SOCK_STREAM, TCP), (socket.SOCK_DGRAM, UDP)])
def test_sockets_and_listeners(table: DictTable, kind: socket.SocketKind, protocol: int) -> None:
    with socket.socket(socket.AF_INET, kind) as opened:
        opened.bind(("127.0.0.1", 0))
        if protocol == TCP:
            opened.listen()
        bootstrap_all(table)
        owner = table.owners[cookie_of(opened)]
        key = protocol, opened.getsockname()[1], bytes(10) + b"\xff\xff\x7f\0\0\1"
        assert table.listeners[key] == Listener(cookie_of(opened), owner)
    assert (owner.pid, owner.uid) == (os.getpid(), os.getuid())
    assert owner.exec_id == table.processes[os.getpid()].exec_id


def test_a_port_that_found_no_room_is_written_at_the_next_start(table: DictTable) -> None:
    """Its socket is known. From now on BPF says again whether a port was lost."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        bootstrap_all(table)
        table.listeners.clear()
        table.are_listeners_lost = True
        bootstrap_all(table)
        assert [listener.cookie for listener in table.listeners.values()].count(cookie_of(opened)) == 1
    assert not table.are_listeners_lost


def test_the_newest_holder_owns_a_socket_that_was_handed_on(table: DictTable) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        holders = [subprocess.Popen(["sleep", "30"], pass_fds=[server.fileno()]) for _ in range(2)]
        bootstrap_all(table)
        assert table.owners[cookie_of(server)].pid in [holder.pid for holder in holders]
        for holder in holders:
            holder.kill()
            holder.wait(timeout=WAIT_S)


def test_init_owns_only_what_nobody_else_holds(table: DictTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Init keeps sockets for its services; here the newest holder plays init, which would be the owner otherwise."""
    with socket.create_server(("127.0.0.1", 0)) as shared, socket.create_server(("127.0.0.1", 0)) as kept:
        with subprocess.Popen(["sleep", "30"], pass_fds=[shared.fileno(), kept.fileno()]) as init:
            monkeypatch.setattr("tinysnitch.kernel.proc.procfs.INIT", init.pid)
            kept_cookie = cookie_of(kept)
            kept.close()
            bootstrap_all(table)
            init.kill()
        assert table.owners[cookie_of(shared)].pid == os.getpid()
        assert table.owners[kept_cookie].pid == init.pid


def test_a_process_that_got_the_holders_pid_meanwhile_gets_no_sockets(table: DictTable) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, SocketDiag() as sockets:
        table.processes[os.getpid()] = ProcessEntry(16, started_ns=1)  # the one that had the pid before us
        add_sockets(table, sockets)
        assert (table.owners.get(cookie_of(server)), table.listeners) == (None, {})


def test_a_connected_socket_listens_to_nobody_else(table: DictTable) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.connect(("127.0.0.1", 9))
        bootstrap_all(table)
        assert cookie_of(opened) in table.owners
        assert opened.getsockname()[1] not in [port for _, port, _ in table.listeners]


@pytest.mark.privileged
def test_raw_sockets_tell_their_cookie_themselves(table: DictTable) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, ICMP) as opened:
        bootstrap_all(table)
        assert table.owners[cookie_of(opened)].pid == os.getpid()


def test_who_has_descriptors_without_an_end_holds_up_no_start(
    table: DictTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a thousand processes can have a million descriptors, which take nine seconds."""
    limits: dict[int, list[int | None]] = {0: [], 1000: [], 1001: [], 200_000: [], 300_000: []}
    uids = dict(enumerate((1000, 0, 1001, 1000, 0, 200_000, 1000, 300_000, 1001), start=100))
    now_s = 0.0

    def list_slowly(pid: int, limit: int | None) -> list[tuple[int, int]]:
        nonlocal now_s
        limits[uids[pid]].append(limit)
        now_s += 0.6 if limit != bootstrapping.FEW and uids[pid] != 1001 else 0.001
        return []

    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    monkeypatch.setattr(procfs, "list_processes", lambda: [*uids])
    monkeypatch.setattr(procfs, "read_uid", uids.get)
    monkeypatch.setattr(procfs, "list_sockets", list_slowly)
    monkeypatch.setattr(procfs, "read_process", lambda _pid: None)
    monkeypatch.setattr(bootstrapping, "ENOUGH_S", 0.5)
    table.processes = dict.fromkeys(uids, ProcessEntry(16, 17))
    bootstrap_all(table)
    few, most = bootstrapping.FEW, bootstrapping.MOST
    assert limits == {0: [None] * 2, 1000: [most, few, few], 1001: [most] * 2, 200_000: [most], 300_000: [few]}


def test_who_holds_many_sockets_is_read_once(table: DictTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """60,000 sockets, as a server or an attacker may have, delayed a start by seven seconds."""
    asked, read = [], procfs.read_stat

    def read_counted(pid: int) -> procfs.ProcessStat | None:
        asked.append(pid)
        return read(pid)

    with ExitStack() as opened:
        servers = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(100)]
        ports = {server.getsockname()[1] for server in servers}
        add_processes(table)
        monkeypatch.setattr(procfs, "read_stat", read_counted)
        with SocketDiag() as sockets:
            add_sockets(table, sockets)
    assert asked.count(os.getpid()) == 1
    # This process may hold other sockets too, which an earlier test has left to the garbage collector.
    ours = {port for (_protocol, port, _address), each in table.listeners.items() if each.owner.pid == os.getpid()}
    assert ports <= ours
