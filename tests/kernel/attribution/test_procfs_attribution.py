"""Without BPF. A neighbour that never answers keeps packets back, charged to their socket, as the queue does."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import pytest

from tests.bpf.bpf_place import BpfPlace
from tests.bpf.netns_visit import visit_netns
from tests.kernel.attribution.scan_patience import PatientAttributor
from tests.lab.leftovers import NETNS_FOLDER
from tests.lab.patience import WAIT_S
from tinysnitch.core.model.flow import ICMP, TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.model.process import KERNEL, NOT_LISTENING, UNKNOWN, AttributedPacket, AttributionSource, Process
from tinysnitch.kernel.attribution import procfs_attribution
from tinysnitch.kernel.attribution.attribution import Attributor
from tinysnitch.kernel.attribution.process_builder import ProcessBuilder
from tinysnitch.kernel.attribution.socket_holders import SocketHolders, TooManyWait
from tinysnitch.kernel.bpf.images import Image
from tinysnitch.kernel.netlink.sock_diag import SocketDiag
from tinysnitch.kernel.proc.procfs import read_argv, read_process

pytestmark = pytest.mark.privileged

OWN, FAR = "10.77.0.1", "10.77.0.2"
ANYONE = parse_address("192.0.2.7")
ECHO = bytes([8, 0, 0xF7, 0xB2, 0, 0x4D, 0, 0])  # identifier 77


@pytest.fixture
def attributor(place: BpfPlace) -> Iterator[Attributor]:
    place.run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far")
    place.run("ip", "link", "set", "near", "up")
    place.run("ip", "link", "set", "far", "up")
    place.run("ip", "address", "add", f"{OWN}/24", "dev", "near")
    with visit_netns(NETNS_FOLDER / place.name), closing(PatientAttributor(None)) as made:
        yield made


def outbound(protocol: int, local_port: int, remote_port: int = 9) -> Flow:
    return Flow(protocol, Direction.OUTBOUND, parse_address(OWN), local_port, parse_address(FAR), remote_port)


def attribute_sent(attributor: Attributor, flow: Flow) -> AttributedPacket:
    """Attribute with the uid that the queue would tell, ours."""
    return attributor.attribute(flow, sender_uid=os.getuid())


def check_own(process: Process | None) -> None:
    assert process
    assert (process.pid, process.uid) == (os.getpid(), os.getuid())
    assert process.executable == os.path.realpath(sys.executable)
    assert process.exec_id >> 62 == 1


def test_tcp_outbound(attributor: Attributor) -> None:
    with socket.socket() as opened:
        opened.setblocking(False)
        opened.connect_ex((FAR, 443))
        attributed = attributor.attribute(outbound(TCP, opened.getsockname()[1], 443))
        assert attributed.attribution.source is AttributionSource.PROCFS
        check_own(attributed.attribution.process)
        other = attributor.attribute(outbound(TCP, opened.getsockname()[1], 444))
        assert other.attribution == UNKNOWN


def test_what_leaves_from_a_port_without_a_connection_is_not_of_who_listens_there(attributor: Attributor) -> None:
    with socket.create_server((OWN, 0)) as server:
        attributed = attributor.attribute(outbound(TCP, server.getsockname()[1], 443))
    assert attributed.attribution == UNKNOWN


def test_who_has_closed_is_not_looked_for_among_all_sockets(
    attributor: Attributor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(SocketDiag, "list_sockets")
    flow = outbound(TCP, 1)
    assert attributor.attribute(flow, socket.if_nametoindex("lo")).attribution == UNKNOWN


def test_a_process_is_built_once_until_rules_ask_for_more(attributor: Attributor) -> None:
    with socket.create_server((OWN, 0)) as server:
        flow = Flow(TCP, Direction.INBOUND, parse_address(OWN), server.getsockname()[1], ANYONE, 4)
        first = attributor.attribute(flow).attribution.process
        assert attributor.attribute(flow).attribution.process is first
        attributor.forget()
        assert attributor.attribute(flow).attribution.process is not first


def test_a_process_whose_file_could_not_be_looked_up_is_built_again(
    attributor: Attributor, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = ProcessBuilder.build

    def build_in_vain(builder: ProcessBuilder, image: Image, **how: int) -> Process:
        return msgspec.structs.replace(build(builder, image, **how), is_file_told=False)

    with socket.create_server((OWN, 0)) as server:
        flow = Flow(TCP, Direction.INBOUND, parse_address(OWN), server.getsockname()[1], ANYONE, 4)
        with monkeypatch.context() as silent:
            silent.setattr(ProcessBuilder, "build", build_in_vain)
            untold = attributor.attribute(flow).attribution.process
        told = attributor.attribute(flow).attribution.process
    assert untold
    assert told
    assert (untold.is_file_told, told.is_file_told) == (False, True)


@pytest.mark.usefixtures("attributor")
def test_who_ends_before_all_of_him_was_read_is_unknown(tmp_path: Path) -> None:
    """Then its file can be written, with the content that a rule demands."""
    program = tmp_path / "program"
    shutil.copy("/bin/sleep", program)
    with socket.create_server((OWN, 0)) as server:
        flow = Flow(TCP, Direction.INBOUND, parse_address(OWN), server.getsockname()[1], ANYONE, 4)
        holder = subprocess.Popen([program, "60"], pass_fds=[server.fileno()])

    def end(path: str) -> bool:
        if path == str(program) and holder.poll() is None:
            holder.kill()
            holder.wait(timeout=WAIT_S)
            program.write_bytes(b"another content")
        return True

    with closing(PatientAttributor(None, needs_sha256=end)) as attributor:
        assert attributor.attribute(flow).attribution == UNKNOWN
    assert holder.returncode is not None


@pytest.mark.usefixtures("attributor")
def test_who_runs_another_program_before_all_of_it_was_read_is_unknown() -> None:
    """Its socket stays the same."""
    shell = os.path.realpath("/bin/sh")
    with socket.create_server((OWN, 0)) as server:
        flow = Flow(TCP, Direction.INBOUND, parse_address(OWN), server.getsockname()[1], ANYONE, 4)
        command = ["sh", "-c", "read x; exec sleep 30"]
        holder = subprocess.Popen(command, pass_fds=[server.fileno()], stdin=subprocess.PIPE)

    def execute(path: str) -> bool:
        if path == shell and holder.stdin and not holder.stdin.closed:
            holder.stdin.write(b"\n")
            holder.stdin.close()
            while read_argv(holder.pid)[0][:1] != ("sleep",):
                os.sched_yield()
        return False

    with holder, closing(PatientAttributor(None, needs_sha256=execute)) as attributor:
        assert attributor.attribute(flow).attribution == UNKNOWN
        assert attributor.attribute(flow).attribution != UNKNOWN
        holder.kill()


@pytest.mark.parametrize("is_connected", [True, False])
def test_udp_outbound(attributor: Attributor, is_connected: bool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("0.0.0.0", 0))
        if is_connected:
            opened.connect((FAR, 9))
        flow = outbound(UDP, opened.getsockname()[1])
        assert attribute_sent(attributor, flow).attribution == UNKNOWN  # it has sent nothing
        opened.sendto(b"x", (FAR, 9)) if not is_connected else opened.send(b"x")
        check_own(attribute_sent(attributor, flow).attribution.process)


def test_udp_of_one_that_sent_and_is_gone_is_not_its_neighbours(attributor: Attributor) -> None:
    """Both share a port; the one that stays must not be named."""
    with ExitStack() as stack:
        sender, stays = (stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2))
        for each in (sender, stays):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sender.bind(("0.0.0.0", 5353))
        stays.bind(("0.0.0.0", 5353))
        sender.sendto(b"x", (FAR, 9))
        check_own(attribute_sent(attributor, outbound(UDP, 5353)).attribution.process)
        sender.close()
        assert attribute_sent(attributor, outbound(UDP, 5353)).attribution == UNKNOWN
        stays.sendto(b"x", (FAR, 9))  # to whatever remote
        assert attributor.attribute(outbound(UDP, 5353)).attribution == UNKNOWN
        assert attributor.attribute(outbound(UDP, 5353), sender_uid=os.getuid() + 1).attribution == UNKNOWN


def test_a_raw_ping(attributor: Attributor) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, ICMP) as opened:
        assert attribute_sent(attributor, outbound(ICMP, 77, 0)).attribution == UNKNOWN
        opened.sendto(ECHO, (FAR, 0))
        check_own(attribute_sent(attributor, outbound(ICMP, 77, 0)).attribution.process)


def test_a_ping_socket(place: BpfPlace, attributor: Attributor) -> None:
    place.run("sysctl", "-qw", "net.ipv4.ping_group_range=0 0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, ICMP) as opened:
        opened.bind((OWN, 77))
        opened.sendto(ECHO, (FAR, 0))
        check_own(attribute_sent(attributor, outbound(ICMP, 77, 0)).attribution.process)
        assert attribute_sent(attributor, outbound(ICMP, 78, 0)).attribution == UNKNOWN


@pytest.mark.parametrize(("protocol", "kind"), [(TCP, socket.SOCK_STREAM), (UDP, socket.SOCK_DGRAM)])
def test_what_comes_in_is_of_who_has_the_port(attributor: Attributor, protocol: int, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET6, kind) as opened:
        opened.bind(("::", 0))
        if protocol == TCP:
            opened.listen()
        flow = Flow(protocol, Direction.INBOUND, parse_address(OWN), opened.getsockname()[1], ANYONE, 4)
        check_own(attributor.attribute(flow).attribution.process)
    assert attributor.attribute(flow).attribution == NOT_LISTENING


def test_inbound_echo_is_answered_by_the_kernel(attributor: Attributor) -> None:
    flow = Flow(ICMP, Direction.INBOUND, parse_address(OWN), 5, ANYONE, 0)
    assert attributor.attribute(flow).attribution == KERNEL


@pytest.mark.parametrize("protocol", [33, 132, 136])
def test_what_programs_take_by_other_protocols_is_not_the_kernels(attributor: Attributor, protocol: int) -> None:
    flow = Flow(protocol, Direction.INBOUND, parse_address(OWN), 0, ANYONE, 0)
    assert attributor.attribute(flow).attribution == UNKNOWN


def test_holders_that_run_different_things_are_unknown(attributor: Attributor) -> None:
    with socket.create_server((OWN, 0)) as server:
        flow = Flow(TCP, Direction.INBOUND, parse_address(OWN), server.getsockname()[1], ANYONE, 4)
        with subprocess.Popen(["sleep", "30"], pass_fds=[server.fileno()]) as other:
            assert attributor.attribute(flow).attribution == UNKNOWN
            other.kill()
            other.wait(timeout=WAIT_S)
        check_own(attributor.attribute(flow).attribution.process)


def test_what_init_keeps_for_others_is_theirs(attributor: Attributor, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((OWN, 0)) as server:
        flow = Flow(TCP, Direction.INBOUND, parse_address(OWN), server.getsockname()[1], ANYONE, 4)
        with subprocess.Popen(["sleep", "30"], pass_fds=[server.fileno()]) as other:
            monkeypatch.setattr(procfs_attribution, "INIT", other.pid)
            check_own(attributor.attribute(flow).attribution.process)
            server.close()
            alone = attributor.attribute(flow).attribution.process
            other.kill()
    assert alone
    assert alone.pid == other.pid


def test_a_holder_of_which_nothing_can_be_read_may_run_anything(
    attributor: Attributor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server((OWN, 0)) as server:
        flow = Flow(TCP, Direction.INBOUND, parse_address(OWN), server.getsockname()[1], ANYONE, 4)
        with subprocess.Popen(["sleep", "30"], pass_fds=[server.fileno()]) as other:
            monkeypatch.setattr(
                procfs_attribution, "read_process", lambda pid: None if pid == other.pid else read_process(pid)
            )
            assert attributor.attribute(flow).attribution == UNKNOWN
            other.kill()


def test_exec_ids_follow_what_runs(attributor: Attributor) -> None:
    """Pid and start stay the same, the program changes."""
    with socket.create_server((OWN, 0)) as server:
        flow = Flow(TCP, Direction.INBOUND, parse_address(OWN), server.getsockname()[1], ANYONE, 4)
        command = ["sh", "-c", "read x; exec sleep 30"]
        with subprocess.Popen(command, pass_fds=[server.fileno()], stdin=subprocess.PIPE) as holder:
            server.close()
            first = attributor.attribute(flow).attribution.process
            assert holder.stdin
            holder.stdin.write(b"\n")
            holder.stdin.flush()
            while read_argv(holder.pid)[0][:1] != ("sleep",):
                os.sched_yield()
            second = attributor.attribute(flow).attribution.process
            holder.kill()
    assert first
    assert second
    assert (first.pid, first.started_ns) == (second.pid, second.started_ns)
    assert first.exec_id != second.exec_id
    assert second.args == ("30",)


def test_what_is_not_to_be_held_for_a_scan_is_lost(attributor: Attributor, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: SocketHolders, _inode: int, uid: int) -> None:
        assert uid == os.getuid()
        raise TooManyWait

    monkeypatch.setattr(SocketHolders, "find_holders", refuse)
    with socket.create_server((OWN, 0)) as server:
        flow = Flow(TCP, Direction.INBOUND, parse_address(OWN), server.getsockname()[1], parse_address(FAR), 9)
        assert attributor.attribute(flow) == AttributedPacket(UNKNOWN, 0, is_note_lost=True)
    assert attributor.unknown == 0
