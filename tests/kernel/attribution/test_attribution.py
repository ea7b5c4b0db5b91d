"""Attribution by BPF's maps: with dictionaries in their place, and with the real ones."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest

from tests.bpf.attribution_table import DictTable, make_image
from tests.bpf.bpf_place import AGENT, MOMENT_S, Agent, BpfPlace
from tests.bpf.netns_visit import visit_netns
from tests.bpf.test_verdict import judge, make_flow, open_bound
from tests.kernel.attribution.scan_patience import when_due
from tests.lab.leftovers import NETNS_FOLDER
from tinysnitch.core.model.flow import ICMP, TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.model.process import KERNEL, NOT_LISTENING, UNKNOWN, AttributionSource
from tinysnitch.kernel.attribution import process_builder
from tinysnitch.kernel.attribution.attribution import AttributedPacket, Attributor
from tinysnitch.kernel.attribution.bootstrap import bootstrap
from tinysnitch.kernel.bpf.layout import IMAGE_BOOTSTRAPPED, FlowEntry, Listener, Owner, ProcessEntry
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.files import identity as file_identity
from tinysnitch.kernel.netlink.sock_diag import ANY_V6, SocketDiag
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.system.offload import Offload

LOCAL, REMOTE = parse_address("127.0.0.1"), parse_address("192.0.2.1")
OUT = Flow(TCP, Direction.OUTBOUND, LOCAL, 5000, REMOTE, 443)


@pytest.fixture
def table() -> DictTable:
    made = DictTable()
    made.images[100] = make_image("/usr/bin/env", "env", "x")
    made.flows[OUT] = FlowEntry(cookie=7, owner=Owner(100, 6, 5, 1000))
    return made


@pytest.fixture
def attributor(table: DictTable) -> Iterator[Attributor]:
    with closing(Attributor(table)) as made:
        yield made


def cookie_of(opened: socket.socket) -> int:
    return int.from_bytes(opened.getsockopt(socket.SOL_SOCKET, 57, 8), sys.byteorder)  # SO_COOKIE


def test_a_known_flow(attributor: Attributor) -> None:
    attributed = attributor.attribute(OUT)
    process = attributed.attribution.process
    assert process
    assert (attributed.cookie, attributed.attribution.source) == (7, AttributionSource.BPF)
    assert (process.program, process.args) == ("/usr/bin/env", ("x",))
    assert (process.exec_id, process.pid, process.started_ns, process.uid) == (100, 5, 6, 1000)


def test_a_process_is_built_once(attributor: Attributor, table: DictTable) -> None:
    first = attributor.attribute(OUT).attribution
    assert attributor.attribute(OUT).attribution is first
    assert table.image_reads == 1
    attributor.forget()
    assert attributor.attribute(OUT).attribution == first
    assert table.image_reads == 2


def test_a_process_whose_file_was_not_looked_up_is_built_anew(
    attributor: Attributor, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = Event()
    monkeypatch.setattr(process_builder, "AGAIN_S", 0.0)
    monkeypatch.setattr(procfs, "bounded", Offload(procfs.read_uid))
    with monkeypatch.context() as silent:
        silent.setattr(file_identity, "is_host_file", lambda *_words, **_more: over.wait())
        process = attributor.attribute(OUT).attribution.process
        over.set()
    assert process
    assert not process.is_file_told
    monkeypatch.setattr(procfs, "bounded", Offload(procfs.read_uid))
    process = attributor.attribute(OUT).attribution.process
    assert process
    assert process.is_file_told


def test_another_process_of_the_same_image(attributor: Attributor, table: DictTable) -> None:
    attributor.attribute(OUT)
    table.flows[OUT] = FlowEntry(cookie=7, owner=Owner(100, 99, 5, 1000))  # the pid came again
    process = attributor.attribute(OUT).attribution.process
    assert process
    assert process.started_ns == 99


def test_seeded_images_are_weaker(attributor: Attributor, table: DictTable) -> None:
    table.images[100] = make_image("/usr/bin/env", "env", flags=IMAGE_BOOTSTRAPPED)
    assert attributor.attribute(OUT).attribution.source is AttributionSource.PROCFS


def test_kernel_and_unknown(attributor: Attributor, table: DictTable) -> None:
    for owner, attribution in ((Owner(1, 0, 0, 0), KERNEL), (Owner(0, 0, 0, 0), UNKNOWN)):
        table.flows[OUT] = FlowEntry(cookie=8, owner=owner)
        assert attributor.attribute(OUT).attribution == attribution
    icmp = Flow(ICMP, Direction.INBOUND, LOCAL, 1, REMOTE, 0)
    assert attributor.attribute(icmp) == AttributedPacket(UNKNOWN, 0)
    assert attributor.unknown == 2


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_a_flow_of_which_nothing_is_noted_any_more_is_told_from_an_unknown_one(
    attributor: Attributor, table: DictTable, protocol: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each miss is noted, but the note has made room for newer ones."""
    monkeypatch.delattr(SocketDiag, "list_sockets")  # nor are all gone through for it
    flow = msgspec.structs.replace(OUT, protocol=protocol)
    table.flows.pop(flow, None)
    assert attributor.attribute(flow, 1) == AttributedPacket(UNKNOWN, 0, is_note_lost=True)
    table.flows[flow] = FlowEntry(cookie=0, owner=Owner(0, 0, 0, 0))
    assert attributor.attribute(flow, 1) == AttributedPacket(UNKNOWN, 0)
    assert attributor.unknown == 1


def test_an_owner_seeded_after_the_flow(attributor: Attributor, table: DictTable) -> None:
    table.flows[OUT] = FlowEntry(cookie=8, owner=Owner(0, 0, 0, 0))
    table.owners[8] = Owner(100, 6, 5, 1000)
    attributed = attributor.attribute(OUT)
    assert (attributed.attribution.process is not None, attributed.cookie) == (True, 8)
    assert table.flows[OUT].owner == table.owners[8]  # for the packet that comes around again


@pytest.fixture
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """We are the only process, so that a scan is over at once."""
    monkeypatch.setattr(procfs, "list_processes", lambda: [os.getpid()])


@pytest.fixture
def server(table: DictTable, _alone: None) -> Iterator[socket.socket]:
    """A listener of ours; BPF knows this process."""
    table.processes[os.getpid()] = ProcessEntry(100, 6)
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as made:
        yield made


OWN = Owner(100, 6, os.getpid(), os.getuid())


def flow_to(server: socket.socket) -> Flow:
    return Flow(TCP, Direction.INBOUND, LOCAL, server.getsockname()[1], REMOTE, 40000)


def test_a_listener_from_before_the_start(attributor: Attributor, table: DictTable, server: socket.socket) -> None:
    """Like an sshd: found with sock_diag once, from then on by BPF alone."""
    cookie = cookie_of(server)
    table.owners[cookie] = OWN
    attributed = attributor.attribute(flow_to(server))
    assert attributed.attribution.process
    assert attributed.attribution.process.program == "/usr/bin/env"
    assert attributed.cookie == cookie
    assert table.listeners == {(TCP, server.getsockname()[1], ANY_V6): Listener(cookie, OWN)}


@pytest.mark.parametrize("is_port_taken", [False, True])
def test_a_listener_that_is_closed_meanwhile_is_not_left(
    attributor: Attributor,
    table: DictTable,
    server: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    is_port_taken: bool,
) -> None:
    address = server.getsockname()
    cookie, flow, add_listener = cookie_of(server), flow_to(server), table.add_listener
    table.owners[cookie] = OWN

    with socket.socket(socket.AF_INET6) as another:

        def close_first(*arguments: Any) -> bool:  # noqa: ANN401
            server.close()
            if is_port_taken:
                another.bind(address)
                another.listen()
            return add_listener(*arguments)

        monkeypatch.setattr(table, "add_listener", close_first)
        assert attributor.attribute(flow).cookie == cookie
        assert table.listeners == {}


def test_a_listener_whose_owner_is_proved_is_looked_for_nowhere_else(
    attributor: Attributor, table: DictTable, server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procfs, "list_processes", None)
    cookie = cookie_of(server)
    table.owners[cookie] = OWN
    table.flows[flow_to(server)] = FlowEntry(cookie=cookie, owner=OWN)
    process = attributor.attribute(flow_to(server)).attribution.process
    assert process
    assert process.pid == OWN.pid
    assert table.listeners == {}


@pytest.mark.parametrize("is_evicted", [True, False])
@pytest.mark.parametrize("noted_exec_id", [0, 99])
def test_a_listener_that_its_owner_left_is_of_who_holds_it(
    attributor: Attributor, table: DictTable, server: socket.socket, noted_exec_id: int, is_evicted: bool
) -> None:
    """From then on BPF knows it, also for the packet that walks the chain again."""
    cookie, earlier = cookie_of(server), Owner(99, 5, 2**22 + 1, 0)
    table.add_listener(TCP, server.getsockname()[1], ANY_V6, Listener(cookie, earlier))
    if not is_evicted:
        table.owners[cookie] = earlier
    table.flows[flow_to(server)] = FlowEntry(
        cookie=cookie, owner=Owner(noted_exec_id, 5, 2**22 + 1 if noted_exec_id else 0, 0)
    )
    attributed = attributor.attribute(flow_to(server))
    assert attributed.attribution.process
    assert attributed.attribution.process.pid == os.getpid()
    assert table.owners[cookie] == OWN
    assert table.flows[flow_to(server)].owner == OWN


def test_a_listener_that_is_held_by_none_that_was_seen_is_unknown(
    attributor: Attributor, table: DictTable, server: socket.socket
) -> None:
    table.processes.clear()
    table.owners[cookie_of(server)] = OWN
    attributed = when_due(lambda: attributor.attribute(flow_to(server)))
    assert (attributed.attribution, attributed.cookie) == (UNKNOWN, cookie_of(server))
    assert table.owners == {cookie_of(server): OWN}


@pytest.mark.parametrize("noted", [OWN, Owner(100, 6, OWN.pid, 1), Owner(99, 5, 2**22 + 1, 0), Owner(0, 0, 0, 0)])
def test_a_socket_that_the_kernel_made_for_another_is_of_who_holds_the_others(
    attributor: Attributor, table: DictTable, server: socket.socket, noted: Owner
) -> None:
    """For MPTCP sock_diag shows the kernel's own socket, with the inode of the program's, whose binder BPF noted."""
    table.flows[flow_to(server)] = FlowEntry(cookie=8, owner=noted)
    process = when_due(lambda: attributor.attribute(flow_to(server))).attribution.process
    assert (process and process.pid, 8 in table.owners) == (OWN.pid, noted.pid == OWN.pid and noted != OWN)
    assert len(table.listeners) == (noted.pid != OWN.pid)  # else the packet would walk the chain for ever


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_nobody_listens(attributor: Attributor, protocol: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if protocol == TCP else socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.9", 0))
        flow = Flow(protocol, Direction.INBOUND, LOCAL, opened.getsockname()[1], REMOTE, 40000)
        assert attributor.attribute(flow).attribution == NOT_LISTENING


def test_what_the_owner_of_a_port_does_not_take_is_for_nobody(attributor: Attributor, table: DictTable) -> None:
    """A connected UDP socket takes nothing from other remotes, even if its port was noted."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.connect(("127.0.0.1", 9))
        flow = Flow(UDP, Direction.INBOUND, LOCAL, opened.getsockname()[1], REMOTE, 40000)
        table.owners[cookie_of(opened)] = OWN
        table.flows[flow] = FlowEntry(cookie=cookie_of(opened), owner=OWN)
        assert attributor.attribute(flow).attribution == NOT_LISTENING


def test_who_ends_listens_no_more(
    attributor: Attributor, table: DictTable, server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procfs, "is_ending", lambda _pid: True)
    table.owners[cookie_of(server)] = OWN
    table.processes.clear()
    assert when_due(lambda: attributor.attribute(flow_to(server))).attribution == NOT_LISTENING


def test_a_listener_without_an_owner_listens(attributor: Attributor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        attributed = when_due(lambda: attributor.attribute(flow_to(server)))
        assert (attributed.attribution, attributed.cookie) == (UNKNOWN, cookie_of(server))


def test_an_outbound_connection_whose_entry_was_lost(attributor: Attributor, table: DictTable) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address) as client:
            table.owners[cookie_of(client)] = Owner(100, 6, 5, 0)
            flow = Flow(TCP, Direction.OUTBOUND, LOCAL, client.getsockname()[1], LOCAL, address[1])
            assert attributor.attribute(flow).attribution.process
        table.owners[cookie_of(server)] = Owner(100, 6, 5, 0)
        absent = Flow(TCP, Direction.OUTBOUND, LOCAL, address[1], REMOTE, 443)
        assert attributor.attribute(absent).attribution == UNKNOWN  # the listener on the port is not its sender


def test_of_a_datagram_whose_entry_was_lost_no_socket_on_its_port_tells_the_sender(
    attributor: Attributor, table: DictTable
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", 9))
        table.owners[cookie_of(client)] = Owner(100, 6, 5, 0)
        flow = Flow(UDP, Direction.OUTBOUND, LOCAL, client.getsockname()[1], LOCAL, 9)
        assert attributor.attribute(flow).attribution == UNKNOWN


@pytest.fixture
def there(place: BpfPlace) -> Iterator[None]:
    with visit_netns(NETNS_FOLDER / place.name):
        yield


@pytest.mark.privileged
@pytest.mark.usefixtures("there")
def test_the_real_maps_outbound(place: BpfPlace, programs: BpfPrograms, agent: Agent) -> None:
    judge(place, programs, "OUTPUT")
    handle, cookie = open_bound(agent, "AF_INET", "SOCK_STREAM", "127.0.0.1")
    assert agent.is_swallowed(handle, "127.0.0.1", 4000)
    with closing(Attributor(programs)) as attributor:
        attributed = attributor.attribute(make_flow(TCP, "127.0.0.1"))
    process = attributed.attribution.process
    assert process
    assert (attributed.cookie, attributed.attribution.source) == (cookie, AttributionSource.BPF)
    script = os.path.realpath(AGENT)
    assert (process.program, process.args, process.pid) == (script, (), agent.pid)
    assert process.run_by == os.path.realpath(sys.executable)
    assert process.is_host_file
    assert process.parents


@pytest.mark.privileged
@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(("protocol", "kind"), [(TCP, "SOCK_STREAM"), (UDP, "SOCK_DGRAM")])
def test_the_real_maps_with_a_server_from_before(place: BpfPlace, protocol: int, kind: str) -> None:
    agent = place.start_agent()
    handle, cookie = open_bound(agent, "AF_INET", kind, "127.0.0.1", 4000)
    if protocol == TCP:
        agent.call("listen", handle)
    programs = place.load()
    with SocketDiag() as sockets:
        bootstrap(programs, sockets)
    assert programs.find_owner(cookie)
    judge(place, programs, "INPUT")
    with closing(Attributor(programs)) as attributor:
        flow = make_flow(protocol, "127.0.0.1", Direction.INBOUND)
        send(place.start_agent(), protocol, kind)
        attributed = attributor.attribute(flow)
    assert (attributed.cookie, attributed.attribution.source) == (cookie, AttributionSource.PROCFS)
    assert attributed.attribution.process
    assert attributed.attribution.process.pid == agent.pid


def send(client: Agent, protocol: int, kind: str) -> None:
    place = (open_bound(client, "AF_INET", kind, "127.0.0.1")[0], "127.0.0.1", 4000)
    client.call(*(("connect", *place, MOMENT_S) if protocol == TCP else ("send_to", *place)))


@pytest.mark.privileged
@pytest.mark.usefixtures("there")
def test_a_seeded_process_owns_what_it_opens_later(place: BpfPlace) -> None:
    """/proc tells its start only in ticks. BPF must recognise it all the same, and its children."""
    agent = place.start_agent()
    programs = place.load()
    with SocketDiag() as sockets:
        bootstrap(programs, sockets)
    seeded = programs.find_process(agent.pid)
    assert seeded
    _handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_STREAM")
    owner = programs.find_owner(cookie)
    assert owner
    assert (owner.exec_id, owner.pid) == (seeded.exec_id, agent.pid)
    exact = programs.find_process(agent.pid)
    assert exact
    assert exact.started_ns == owner.started_ns


@pytest.mark.usefixtures("_alone")
def test_the_degraded_mode_needs_no_maps() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, closing(Attributor(None)) as attributor:
        attributed = attributor.attribute(Flow(TCP, Direction.INBOUND, LOCAL, server.getsockname()[1], REMOTE, 4))
        assert attributed.attribution.source is AttributionSource.PROCFS
        assert attributed.attribution.process
        assert (attributed.attribution.process.pid, attributed.cookie) == (os.getpid(), cookie_of(server))


def test_further_interpreters_are_named_by_their_scripts(table: DictTable, tmp_path: Path) -> None:
    (tmp_path / "script").touch()
    table.images[100] = make_image("/usr/bin/env", "env", f"{tmp_path}/script")
    with closing(Attributor(table, extra_interpreters=["env"])) as attributor:
        process = attributor.attribute(OUT).attribution.process
    assert process
    assert process.program == f"{tmp_path}/script"


def test_nothing_is_left_open(table: DictTable) -> None:
    before = set(os.listdir("/proc/self/fd"))
    Attributor(table).close()
    assert set(os.listdir("/proc/self/fd")) <= before


def test_a_miss_never_scans_proc(attributor: Attributor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "listdir", None)
    assert attributor.attribute(Flow(TCP, Direction.INBOUND, LOCAL, 1, REMOTE, 4)).attribution == NOT_LISTENING
