"""Attribution of outbound connections: they belong to the process that uses the socket, however it got and uses it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.daemon import Record
from tests.lab.patience import WAIT_S, wait_listening
from tests.lab.watched_lab import PYTHON, WatchedLab
from tests.lab.world import ECHO_PORT, HOST4, HOST6, PROGRAMS, WORLD4, WORLD6

pytestmark = [pytest.mark.privileged]

SOCKET_USER = str(PROGRAMS / "socket_user.py")


def use(watched: WatchedLab, way: str, address: str, port: int, user: str | None = None) -> Record:
    return watched.use([PYTHON, SOCKET_USER, way, address, str(port)], user, remote_port=port)


@pytest.mark.parametrize(
    ("way", "last"),
    [
        ("connect", "connect"),
        ("fork", "fork"),
        ("vfork", "connect"),
        ("thread", "thread"),
        ("hand_on_by_exec", "take_3"),
        ("pass_on", "take_passed"),
        ("multipath", "multipath"),
        ("hand_on_multipath", "take_3"),
        ("pass_on_multipath", "take_passed"),
    ],
)
@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_a_connection_belongs_to_the_process_that_connects(
    watched: WatchedLab, way: str, last: str, address: str
) -> None:
    """`last` is the first argument of the process that connects, which tells it from the one that made the socket."""
    record = use(watched, way, address, 80)
    assert (record["program"], record["args"]) == (SOCKET_USER, [last, address, "80"])
    assert (record["uid"], record["remote_address"], record["protocol"]) == (0, address, "tcp")


@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_data_in_a_syn_belongs_to_the_sender(watched: WatchedLab, address: str) -> None:
    """TCP Fast Open: without a cookie, so that the very first SYN has data (Documentation/networking/ip-sysctl.rst)."""
    watched.lab.run_outside(["sysctl", "-qw", "net.ipv4.tcp_fastopen=5"])
    watched.lab.run_world(["sysctl", "-qw", "net.ipv4.tcp_fastopen=1538"])
    server = watched.lab.spawn_world([PYTHON, str(PROGRAMS / "receiver.py"), "tcp", "::", "7300"])
    wait_listening(server)
    record = use(watched, "fast_open", address, 7300)
    server.kill()
    server.wait(timeout=WAIT_S)
    assert (record["program"], record["args"][0], record["remote_address"]) == (SOCKET_USER, "fast_open", address)


@pytest.mark.parametrize("way", ["datagram", "connected_datagram", "fork_datagram", "late_answer"])
@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_a_datagram_belongs_to_the_sender(watched: WatchedLab, way: str, address: str) -> None:
    record = use(watched, way, address, ECHO_PORT)
    assert (record["program"], record["args"][0], record["protocol"]) == (SOCKET_USER, way, "udp")
    assert record["remote_address"] == address


@pytest.mark.parametrize(
    ("way", "last"),
    [("fork_connected", "fork_connected"), ("exec_connected", "send_3"), ("pass_connected", "send_passed")],
)
@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_a_datagram_through_a_connected_socket_belongs_to_the_sender(
    watched: WatchedLab, way: str, last: str, address: str
) -> None:
    """send() without an address runs no cgroup hook: the sender is noted when the packet leaves."""
    record = use(watched, way, address, ECHO_PORT)
    assert (record["args"][0], record["protocol"], record["remote_address"]) == (last, "udp", address)


@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_an_echo_through_a_connected_socket_belongs_to_the_sender(watched: WatchedLab, address: str) -> None:
    watched.lab.run_outside(["sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647"])
    pid, identifier = map(int, watched.run([PYTHON, SOCKET_USER, "fork_ping", address, "0"]).split())
    record = watched.daemon.wait_connection(pid=pid, local_port=identifier, attribution="bpf")
    assert record["remote_address"] == address


def test_what_a_raw_socket_sends_that_was_passed_on_belongs_to_the_sender(watched: WatchedLab) -> None:
    pid, _port = watched.run([PYTHON, SOCKET_USER, "pass_raw", WORLD4, "0"]).split()
    record = watched.daemon.wait_connection(pid=int(pid), protocol="200")
    assert record["args"][0] == "send_raw"


@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_a_process_that_changes_its_user_is_the_new_user(watched: WatchedLab, address: str) -> None:
    assert use(watched, "change_uid", address, 80)["uid"] == 65534
    assert use(watched, "change_uid_connected", address, ECHO_PORT)["uid"] == 65534


def test_a_setuid_program_is_named_with_the_user_who_called_it(watched: WatchedLab) -> None:
    program = watched.compile("batch_client", place=watched.lab.folder / "setuid_client")
    program.chmod(0o4755)
    record = watched.use([str(program), "plain", WORLD4, "80"], user="nobody", remote_port=80)
    assert (record["program"], record["uid"]) == (str(program), 65534)


@pytest.mark.parametrize(
    ("way", "protocol", "port"),
    [("sendmmsg", "udp", ECHO_PORT), ("uring_connect", "tcp", 80), ("uring_poll", "tcp", 80), ("uring_send", "udp", 9)],
)
def test_batched_and_asynchronous_calls(watched: WatchedLab, way: str, protocol: str, port: int) -> None:
    program = str(watched.compile("batch_client", place=watched.lab.folder / way))
    record = watched.use([program, way, WORLD4, str(port)], remote_port=port)
    assert (record["program"], record["args"][0], record["protocol"]) == (program, way, protocol)


@pytest.mark.parametrize(("way", "port"), [("mapped", 80), ("mapped_datagram", ECHO_PORT)])
def test_mapped_addresses_are_ipv4(watched: WatchedLab, way: str, port: int) -> None:
    assert use(watched, way, WORLD4, port)["remote_address"] == WORLD4


@pytest.mark.parametrize("way", ["ping", "raw_echo", "raw"])
@pytest.mark.parametrize("address", [WORLD4, WORLD6])
def test_sockets_without_ports(watched: WatchedLab, way: str, address: str) -> None:
    if way == "ping":
        watched.lab.run_outside(["sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647"])
    pid, _port = watched.run([PYTHON, SOCKET_USER, way, address, "0"]).split()
    record = watched.daemon.wait_connection(pid=int(pid), remote_address=address, attribution="bpf")
    assert (record["program"], record["protocol"]) == (SOCKET_USER, "200" if way == "raw" else "icmp")


@pytest.mark.parametrize(
    "address", ["224.0.0.251", "ff02::fb%eth0", "255.255.255.255", "10.77.0.255", HOST4, HOST6, "127.0.0.1", "::1"]
)
def test_multicast_broadcast_own_addresses_and_loopback(watched: WatchedLab, address: str) -> None:
    watched.lab.run_outside(["ip", "route", "replace", "default", "dev", "eth0"])
    record = use(watched, "datagram", address, 5353)
    assert (record["program"], record["remote_address"]) == (SOCKET_USER, address.partition("%")[0])


def test_parents_up_to_init(watched: WatchedLab) -> None:
    script = f'exec_me() {{ "$@"; }}; exec_me {PYTHON} {SOCKET_USER} connect {WORLD4} 80; true'
    record = watched.use(["/usr/bin/bash", "-c", script], remote_port=80)
    assert record["parents"][0] == os.path.realpath("/usr/bin/bash")
    assert record["parents"][1] == os.path.realpath(sys.executable)
    ancestors = list(find_ancestors())
    assert len(record["parents"]) == 1 + len(ancestors)
    # By their last parts: a script may have been called by a relative path.
    assert Path(record["parents"][-1]).name in [Path(word).name for word in ancestors[-1]]


def find_ancestors() -> Iterator[list[str]]:
    """Of this process and its ancestors: the executable and the arguments, one of which names a script."""
    pid = os.getpid()
    while pid:
        process = Path("/proc", str(pid))
        try:
            executable = os.readlink(process / "exe").removesuffix(" (deleted)")
        except PermissionError:
            return  # that of init, on machines that hide it
        yield [executable, *(process / "cmdline").read_text().split("\0")]
        pid = int((process / "stat").read_text().rpartition(")")[2].split()[1])


def test_no_outbound_connection_was_of_an_unknown_program(watched: WatchedLab) -> None:
    """Looks at all that the tests before this one did in the shared lab; there may be none."""
    use(watched, "connect", WORLD4, 80)
    outbound = [record for record in watched.daemon.records("connection") if record["direction"] == "outbound"]
    assert outbound
    assert [record for record in outbound if record["attribution"] == "unknown"] == []


def test_the_c_client_has_no_warnings() -> None:
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", PROGRAMS / "batch_client.c"], check=True)
