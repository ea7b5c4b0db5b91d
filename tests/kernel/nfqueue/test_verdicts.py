"""Without BPF: real packets are held, then allowed or refused. With BPF: what is sent to the queue and the maps."""

import errno
import re
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import msgspec
import pytest

from tests.bpf.packet_place import QUEUES, Wire, entered, is_ready, wait_packets
from tests.daemon.loop.driver_place import SmallQueue
from tests.lab.patience import WAIT_S
from tinysnitch.core.engine.commands import (
    EndInspection,
    ForgetVerdicts,
    InspectMore,
    RememberFlow,
    RememberVerdict,
    SetGeneration,
    SkipInspection,
)
from tinysnitch.core.model.flow import TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.model.scope import Scope
from tinysnitch.core.model.verdict import Inspection, Verdict, VerdictKey
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.kernel.bpf.rule_uses import RuleUses
from tinysnitch.kernel.netfilter.rules import ALLOW_BIT, DENY_MARK, SCOPED_ALLOW_BIT
from tinysnitch.kernel.nfqueue.queue import NfVerdict
from tinysnitch.kernel.nfqueue.verdicts import MAX_ROUNDS, ROUNDS_S, VerdictSink

SO_MARK = 36  # asm-generic/socket.h
DCCP, SCTP = 33, 132  # IANA
ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, ICMP_PORT_UNREACH = 3, 2, 3  # linux/icmp.h
V4, V6 = socket.AF_INET, socket.AF_INET6
Outcome = Callable[[], str]

pytestmark = [pytest.mark.privileged]


@pytest.fixture(scope="module")
def shared() -> Iterator[Wire]:
    """One place for all cases: each has sockets of its own."""
    with Wire() as made:
        yield made


def start_tcp(wire: Wire, source: str, destination: str, family: int) -> Outcome:
    server = wire.listener(destination, family)
    client = wire.open_socket(source, family, socket.SOCK_STREAM)
    client.setblocking(False)
    client.connect_ex(server.getsockname())

    def outcome() -> str:
        assert select.select([], [client], [], 60)[1]
        return errno.errorcode.get(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "through")

    return outcome


def start_udp(wire: Wire, source: str, destination: str, family: int) -> Outcome:
    server = wire.open_socket(destination, family, socket.SOCK_DGRAM, (wire.address(destination, family), 0))
    client = wire.open_socket(source, family, socket.SOCK_DGRAM)
    client.connect(server.getsockname())
    client.send(b"hello")

    def outcome() -> str:
        select.select([server, client], [], [], 60)
        if is_ready(server, 0):
            return "through" if server.recv(10) == b"hello" else "garbled"
        try:
            client.recv(1)
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        return "answered"

    return outcome


def start_ping(wire: Wire, source: str, destination: str, family: int) -> Outcome:
    ping = wire.start(source, "ping", "-n", "-c1", "-W60", wire.address(destination, family))

    def outcome() -> str:
        said, _ = ping.communicate(timeout=90)
        if re.search("port unreachable", said, re.IGNORECASE):
            return "ECONNREFUSED"
        return "through" if ping.returncode == 0 else said

    return outcome


@pytest.mark.parametrize("start", [start_tcp, start_udp, start_ping])
@pytest.mark.parametrize("family", [V4, V6])
@pytest.mark.parametrize("is_inbound", [False, True])
@pytest.mark.parametrize(("verdict", "expected"), [(Verdict.ALLOW, "through"), (Verdict.DENY, "ECONNREFUSED")])
def test_a_packet_is_held_then_decided(
    shared: Wire,
    start: Callable[[Wire, str, str, int], Outcome],
    family: int,
    is_inbound: bool,
    verdict: Verdict,
    expected: str,
) -> None:
    ends = (shared.there, shared.here) if is_inbound else (shared.here, shared.there)
    outcome = start(shared, *ends, family)
    packet = shared.wait_packet()
    assert bool(packet.in_interface) is is_inbound
    assert bool(packet.out_interface) is not is_inbound
    shared.verdicts.issue(packet.packet_id, verdict)
    shared.verdicts.flush()
    assert outcome() == expected
    assert not shared.has_packet()


@pytest.mark.parametrize(("protocol", "code"), [(DCCP, ICMP_PORT_UNREACH), (SCTP, ICMP_PROT_UNREACH)])
def test_what_is_denied_hears_what_ends_it(wire: Wire, protocol: int, code: int) -> None:
    """SCTP is refused as protocol unreachable, all else as port unreachable: otherwise they try on for minutes."""
    with entered(wire.there):
        hearing = socket.socket(V4, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        sending = socket.socket(V4, socket.SOCK_RAW, protocol)
    with hearing, sending:
        hearing.settimeout(WAIT_S)
        sending.sendto(bytes(16), (wire.address(wire.here, V4), 0))
        wire.verdicts.issue(wire.wait_packet().packet_id, Verdict.DENY)
        wire.verdicts.flush()
        assert tuple(hearing.recv(100)[20:22]) == (ICMP_DEST_UNREACH, code)


def test_a_dropped_packet_is_gone_without_a_word(wire: Wire) -> None:
    server = wire.open_socket(wire.there, V4, socket.SOCK_DGRAM, (wire.address(wire.there, V4), 0))
    client = wire.open_socket(wire.here, V4, socket.SOCK_DGRAM)
    client.connect(server.getsockname())
    for verdict_of in (wire.verdicts.drop, lambda packet_id: wire.verdicts.issue(packet_id, Verdict.ALLOW)):
        client.send(b"dropped" if verdict_of == wire.verdicts.drop else b"allowed")
        verdict_of(wire.wait_packet().packet_id)
        wire.verdicts.flush()
    assert server.recv(10) == b"allowed"
    assert not is_ready(client, 0)


@pytest.mark.parametrize(("chain", "mark"), [("OUTPUT", 0x1234), ("INPUT", 0)])
def test_the_mark_of_a_packet_survives_an_allow_and_ours_does_not(wire: Wire, chain: str, mark: int) -> None:
    rule = f"-I {chain} 1 -p tcp -m mark ! --mark {mark} -j DROP"
    wire.run("iptables", *rule.split())
    source, destination = (wire.here, wire.there) if chain == "OUTPUT" else (wire.there, wire.here)
    server = wire.listener(destination, V4)
    client = wire.open_socket(source, V4, socket.SOCK_STREAM)
    client.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
    client.setblocking(False)
    client.connect_ex(server.getsockname())
    packet = wire.wait_packet()
    assert packet.mark == mark
    wire.verdicts.issue(packet.packet_id, Verdict.ALLOW)
    wire.verdicts.flush()
    server.accept()[0].close()


def test_a_packet_that_was_read_has_its_own_mark_and_ours(wire: Wire) -> None:
    wire.run("iptables", *["-I", "OUTPUT", "1", "-p", "udp", "-m", "mark", "!", "--mark", "0x10001234", "-j", "DROP"])
    rule = f"-t mangle -I OUTPUT 1 -p udp -m mark --mark 0/{ALLOW_BIT} -j NFQUEUE --queue-num {QUEUES[1]}"
    wire.run("iptables", *rule.split())
    wire.run("iptables", *f"-t mangle -I OUTPUT 2 -p udp -m mark --mark {ALLOW_BIT}/{ALLOW_BIT} -j ACCEPT".split())
    server = wire.open_socket(wire.there, V4, socket.SOCK_DGRAM, (wire.address(wire.there, V4), 0))
    client = wire.open_socket(wire.here, V4, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, SO_MARK, 0x1234)
    client.sendto(b"read", server.getsockname())
    (packet,) = wait_packets(wire.names, 1)
    wire.verdicts.note_inspected_mark(packet.packet_id, packet.mark)
    wire.verdicts.carry_out(InspectMore(packet.packet_id))
    wire.verdicts.flush()
    assert server.recv(10) == b"read"


def test_over_loopback_a_connection_is_asked_about_on_both_sides(wire: Wire) -> None:
    server = wire.listener(wire.here, V6)
    client = wire.open_socket(wire.here, V6, socket.SOCK_STREAM)
    client.setblocking(False)
    client.connect_ex(server.getsockname())
    hooks = []
    for _way in range(2):
        packet = wire.wait_packet()
        hooks.append(packet.hook)
        wire.verdicts.issue(packet.packet_id, Verdict.ALLOW)
        wire.verdicts.flush()
    server.accept()[0].close()
    assert hooks == [3, 1]  # NF_INET_LOCAL_OUT, NF_INET_LOCAL_IN


class SmallPrograms:
    """Records its calls."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.uses = RuleUses(None)

    def remember_verdict(self, *words: object, watch: Inspection, rule: Rule | None) -> None:
        self.told.append((*words, watch, rule))

    def remember_flow(self, *words: object, exec_id: int, watch: Inspection, tied_to: int, rule: Rule | None) -> None:
        self.told.append((*words, exec_id, watch, tied_to, rule))

    def end_watch(self, *words: object) -> None:
        self.told.append(words)

    def set_generation(self, *words: object) -> None:
        self.told.append(words)

    def forget_verdicts(self, keys: object) -> None:
        self.told.append((keys,))


FLOW = Flow(TCP, Direction.OUTBOUND, parse_address("10.0.0.2"), 40000, parse_address("192.0.2.1"), 443)
RULE = parse_rule("allow 192.0.2.1 443 tcp")
KEY = VerdictKey(7, 0, TCP, Direction.OUTBOUND, FLOW.remote, 443)


def test_what_the_kernel_is_told() -> None:
    with closing(SmallQueue()) as queue, closing(SmallQueue()) as names:
        programs = SmallPrograms()
        verdicts = VerdictSink(queue, names, programs)  # type: ignore[arg-type]
        verdicts.carry_out(RememberVerdict(KEY, Verdict.ALLOW, 3, 1.5, Inspection.NOTED, RULE))
        verdicts.carry_out(RememberFlow(FLOW, Verdict.DENY, 3, None, exec_id=7, tied_to=2))
        verdicts.carry_out(ForgetVerdicts((KEY,)))
        verdicts.carry_out(SkipInspection(FLOW, 7))
        verdicts.carry_out(SetGeneration(4, frozenset({FLOW.local})))
    assert programs.told == [
        (KEY, Verdict.ALLOW, 3, 1_500_000_000, Inspection.NOTED, RULE),
        (FLOW, Verdict.DENY, 3, 0, 7, Inspection.NONE, 2, None),
        ((KEY,),),
        (FLOW, 7, Verdict.ALLOW),
        (4, frozenset({FLOW.local})),
    ]


def test_without_bpf_each_decision_counts_as_a_use_of_its_rule() -> None:
    with closing(SmallQueue()) as queue, closing(SmallQueue()) as names:
        verdicts = VerdictSink(queue, names, None)  # type: ignore[arg-type]
        for command in (
            RememberVerdict(KEY, Verdict.ALLOW, 3, None, rule=RULE),
            RememberFlow(FLOW, Verdict.ALLOW, 3, None, rule=RULE),
            RememberFlow(FLOW, Verdict.DENY, 3, None),
        ):
            verdicts.carry_out(command)
    ((rule, use),) = verdicts.uses.read()
    assert (rule, use.count) == (RULE, 2)
    assert use.last_ns > 0


def test_who_can_is_told_of_connections_that_are_denied_while_they_are_read() -> None:
    told: list[tuple[Flow, int]] = []
    with closing(SmallQueue()) as queue, closing(SmallQueue()) as names:
        verdicts = VerdictSink(queue, names, None, lambda *words: told.append(words))  # type: ignore[arg-type]
        for number, verdict in enumerate((Verdict.ALLOW, Verdict.DENY)):
            for flow in (FLOW, msgspec.structs.replace(FLOW, protocol=UDP)):
                verdicts.carry_out(EndInspection(number, flow, 7, verdict))
    assert told == [(FLOW, 7)]


def test_a_watch_ends_behind_what_was_read_before_it() -> None:
    with closing(SmallQueue()) as queue, closing(SmallQueue()) as names:
        programs = SmallPrograms()
        verdicts = VerdictSink(queue, names, programs)  # type: ignore[arg-type]
        for packet_id in (1, 2):
            verdicts.note_inspected_mark(packet_id, 0x1234)
        verdicts.carry_out(InspectMore(1))
        verdicts.carry_out(EndInspection(2, FLOW, 7, Verdict.DENY))
        assert names.sent == [(1, NfVerdict.REPEAT)]
        verdicts.flush()
        assert names.sent == [(1, NfVerdict.REPEAT), (2, NfVerdict.REPEAT)]
    assert programs.told == [(FLOW, 7, Verdict.DENY)]


def test_without_bpf_a_denial_is_a_whole_mark_and_what_is_allowed_keeps_its_own() -> None:
    """The rules that refuse match exactly this mark."""
    with closing(SmallQueue()) as queue, closing(SmallQueue()) as names:
        verdicts = VerdictSink(queue, names, None)  # type: ignore[arg-type]
        for packet_id, verdict in enumerate((Verdict.DENY, Verdict.ALLOW), 1):
            verdicts.note_mark(packet_id, FLOW, 0x1234)
            verdicts.issue(packet_id, verdict)
    assert queue.marks == {1: DENY_MARK, 2: 0x1234 | ALLOW_BIT}


@pytest.mark.parametrize(("scope", "bit"), [(Scope.MACHINE, ALLOW_BIT), (Scope.COMMAND, SCOPED_ALLOW_BIT)])
def test_a_datagram_that_comes_in_is_marked_as_seen(scope: Scope, bit: int) -> None:
    """It may come to a shared port, where a remembered verdict does not hold for the next one."""
    datagram = msgspec.structs.replace(FLOW, protocol=UDP, direction=Direction.INBOUND)
    with closing(SmallQueue()) as queue, closing(SmallQueue()) as names:
        verdicts = VerdictSink(queue, names, SmallPrograms(), scope=scope)  # type: ignore[arg-type]
        for packet_id, flow in enumerate((datagram, FLOW), 1):
            verdicts.note_mark(packet_id, flow, 0x1234)
            verdicts.issue(packet_id, Verdict.ALLOW)
    assert queue.marks == {1: 0x1234 | bit, 2: None}


def test_a_flow_whose_packets_come_back_again_and_again_goes_round() -> None:
    other = msgspec.structs.replace(FLOW, local_port=1)
    with closing(SmallQueue()) as queue, closing(SmallQueue()) as names:
        verdicts = VerdictSink(queue, names, SmallPrograms())  # type: ignore[arg-type]
        assert not any(verdicts.goes_round(FLOW, 0, 7.0) for _time in range(2 * MAX_ROUNDS))
        rounds = [verdicts.goes_round(FLOW, 0x1234 | ALLOW_BIT, 7.0) for _time in range(MAX_ROUNDS + 1)]
        assert rounds == [False] * MAX_ROUNDS + [True]
        assert not verdicts.goes_round(other, ALLOW_BIT, 7.0)
        assert verdicts.goes_round(FLOW, ALLOW_BIT, 7.0 + ROUNDS_S / 2)
        assert not verdicts.goes_round(FLOW, ALLOW_BIT, 7.0 + ROUNDS_S)


@pytest.mark.parametrize("programs", [None, SmallPrograms()])
def test_no_mark_of_a_packet_is_kept_that_went(programs: SmallPrograms | None) -> None:
    with closing(SmallQueue()) as queue, closing(SmallQueue()) as names:
        verdicts = VerdictSink(queue, names, programs)  # type: ignore[arg-type]
        for packet_id in range(1, 6):
            verdicts.note_mark(packet_id, FLOW, 0x1234)
            verdicts.note_inspected_mark(packet_id, 0x1234)
        verdicts.issue(1, Verdict.ALLOW)
        for packet_id in range(2, 6):
            verdicts.drop(packet_id)
        verdicts.carry_out(InspectMore(1))
        verdicts.drop_inspected(2)
        for packet_id in (3, 4, 5):
            verdicts.carry_out(EndInspection(packet_id, FLOW, 7, Verdict.ALLOW))
    assert (verdicts._marks, verdicts._inspected_marks) == ({}, {})
