"""The netfilter rules as text for iptables-restore: what is judged, in which order, and what comes of a denial.

The order, in mangle OUTPUT and INPUT: TCP is judged by its SYN alone, and by each SYN. What keeps the link itself alive
is never held (neighbour discovery, DHCP, group membership, ICMP errors); then come the conversations and verdicts that
the kernel's side knows; the rest waits in the queue.

No rule asks conntrack, which would cost each connection more than all of ours. Without BPF only it can tell an answer,
from a known conversation (ESTABLISHED), and a SYN+ACK to what is held (INVALID). Its other states are not taken for
granted then: INVALID, UNTRACKED and RELATED (what a conntrack helper expects) packets are judged like NEW ones, and so
is each SYN, since a new socket on the ports of a vanished one is ESTABLISHED too.

A denial is a mark, since REJECT exists in the filter table only. It ends mangle (ACCEPT), so that no later --set-mark
loses it; behind the filter table a DROP waits for what another rule accepted before our REJECT. Chains of others
between mangle and filter may set another mark all the same: with BPF the DROP also takes what is denied without ours.
"""

from collections.abc import Callable
from enum import Enum
from pathlib import Path

import msgspec

ALLOW_BIT = 0x10000000  # on its way through the chain once more: without BPF allowed, with it read (bpf/watch.bpf.h)
# A whole mark, without ALLOW_BIT: a bit alone is part of the marks of others (WireGuard's fwmark is any number). No
# such packet goes on, so that none misses what it was marked with before.
DENY_MARK = 0x64734E59


class Family(Enum):
    V4 = "ip"
    V6 = "ip6"


class Jump(msgspec.Struct, frozen=True):
    """A rule of ours in a built-in chain, as iptables-save prints it without `-A CHAIN`."""

    table: str
    chain: str
    rule: str


class RuleSet(msgspec.Struct, frozen=True):
    """Our chains with their rules, by table, and the jumps to them."""

    chains: dict[str, dict[str, list[str]]]
    jumps: list[Jump]


_DENIED = f"-m mark --mark {DENY_MARK:#x}"
# Not --syn, which also asks that FIN is clear: a SYN with FIN opens a connection with some hosts.
_IS_NO_SYN = "-p tcp -m tcp ! --tcp-flags SYN,RST,ACK SYN"
_NO_SYN = f"{_IS_NO_SYN} -j RETURN"
_IS_SYN = "-p tcp -m tcp --tcp-flags SYN,RST,ACK SYN"
# What is under way, but for what goes to a resolver.
_NO_STREAM = "-p tcp -m tcp ! --dport 53 ! --tcp-flags SYN,RST,ACK SYN -j RETURN"
# The middle of a connection, which is most of what comes in: neither a SYN nor what answers one, nor of a resolver.
_MIDDLE = "-p tcp -m tcp ! --sport 53 --tcp-flags SYN NONE -j RETURN"
_DNS_PROTOCOLS = ("-p udp -m udp", "-p tcp -m tcp")
_STREAM = "-p tcp -m tcp --sport 53 ! --tcp-flags SYN,RST,ACK SYN -m socket"
# On loopback none can be forged without privileges: a listener answers what it got.
_ANSWERS_SYN = "! -i lo -p tcp -m tcp --tcp-flags SYN,RST,ACK SYN,ACK"
_LINK_NAMES = (5353, 5355)  # mDNS (RFC 6762), LLMNR (RFC 4795)
_NO_LINK_NAME = "-p udp -m udp ! --sport 5353:5355 -j RETURN"
_ESTABLISHED = "! -p tcp -m conntrack --ctstate ESTABLISHED -j RETURN"
_DHCP = {
    (Family.V4, "OUT"): "-p udp -m udp --sport 68 --dport 67 -j RETURN",
    (Family.V4, "IN"): "-p udp -m udp --sport 67 --dport 68 -j RETURN",
    (Family.V6, "OUT"): "-p udp -m udp --sport 546 --dport 547 -j RETURN",
    (Family.V6, "IN"): "-p udp -m udp --sport 547 --dport 546 -j RETURN",
}
_IGMP = "-p 2 -j RETURN"
# From outside with a source of ours: the kernel drops it itself for IPv4 (fib_validate_source()), not for IPv6. Our own
# multicasts come back by the interface that they left by (ip6_finish_output2()).
_FORGED = "! -d ff00::/8 ! -i lo -m addrtype --src-type LOCAL -j DROP"
_ICMP = {Family.V4: "icmp", Family.V6: "ipv6-icmp"}
_LINK = {
    # RFC 792 errors: unreachable, quench, redirect, time exceeded, parameter problem. Whatever their state: those that
    # answer a packet we refused are INVALID, since conntrack forgot it.
    Family.V4: [f"-p icmp -m icmp --icmp-type {kind} -j RETURN" for kind in (3, 4, 5, 11, 12)],
    # RFC 4443 errors; RFC 2710 and 3810 listeners; RFC 4861 router and neighbour discovery with redirect
    Family.V6: [
        f"-p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j RETURN"
        for kind in (1, 2, 3, 4, 130, 131, 132, 143, 133, 134, 135, 136, 137)
    ],
}
_UNREACHABLE = {Family.V4: "icmp-port-unreachable", Family.V6: "icmp6-port-unreachable"}


def chain_name(label: str, part: str) -> str:
    return f"{label}-{part}"


def build_rules(
    family: Family,
    label: str,
    queues: tuple[int, int],
    *,
    program_path: Callable[[str], Path] | None,
    scope: str | None,
    has_security: bool,
    remark: str,
) -> RuleSet:
    """`program_path` None: the degraded mode. `scope`: cgroup path below the mount, judged alone."""
    reject = ["-p tcp -j REJECT --reject-with tcp-reset", f"-j REJECT --reject-with {_UNREACHABLE[family]}"]
    escaped_in = _escaped(program_path)
    # Who reads a packet ends its way through the table. A daemon of the machine reads names too, in mangle: the
    # firewall of a command comes behind it. (security has no POSTROUTING.)
    reads_later = scope is not None and has_security
    questions = {"ASKED": [_questions(queues[1], scope)]}
    later = {**questions, "NAMES": [_answers(program_path, _look(queues[1])), f"{_STREAM} {_look(queues[1])}"]}
    # No packet comes to the remark: it is there for whoever takes the rules away. In each table: they are committed one
    # by one, and a firewall that starts beside us would take those that it sees for the machine's.
    told = f'-m comment --comment "{remark}"'
    # In the order that they are committed: what a denial needs stands before anything is judged.
    security = {"LAST": ["-j DROP", told], **escaped_in, **(later if reads_later else {})}
    parts = {
        **({"security": security} if has_security else {}),
        "filter": {"REJECT": [*reject, told], **({} if has_security else escaped_in)},
        "mangle": {
            **_judgement(
                family,
                label,
                queues,
                program_path=program_path,
                scope=scope,
                look="-j RETURN" if reads_later else _look(queues[1]),
            ),
            "LAST": ["-j DROP"],
            **questions,
            **_leaving(label, program_path, reads_later=reads_later),
            "DENY": [f"-j MARK --set-xmark {DENY_MARK:#x}/0xffffffff", "-j ACCEPT", told],
        },
    }
    named = {
        table: {chain_name(label, part): rules for part, rules in chains.items()} for table, chains in parts.items()
    }
    jumps = _jumps(label, has_security, has_programs=program_path is not None)
    return RuleSet(named, [*jumps, *(_jumps_to_names(label) if reads_later else [])])


def _jumps_to_names(label: str) -> list[Jump]:
    to_questions, to_answers = (f"-j {chain_name(label, part)}" for part in ("ASKED", "NAMES"))
    return [
        *(Jump("security", "OUTPUT", f"{protocol} --dport 53 {to_questions}") for protocol in _DNS_PROTOCOLS),
        *(Jump("security", "INPUT", f"{protocol} --sport 53 {to_answers}") for protocol in _DNS_PROTOCOLS),
    ]


def _jumps(label: str, has_security: bool, *, has_programs: bool) -> list[Jump]:
    reject = f"{_DENIED} -j {chain_name(label, 'REJECT')}"
    last = f"{_DENIED} -j {chain_name(label, 'LAST')}"
    return [
        Jump("mangle", "OUTPUT", f"-j {chain_name(label, 'OUT')}"),
        Jump("mangle", "INPUT", f"-j {chain_name(label, 'IN')}"),
        Jump("mangle", "POSTROUTING", last),
        Jump("mangle", "POSTROUTING", f"-j {chain_name(label, 'POST')}"),
        Jump("filter", "OUTPUT", reject),
        Jump("filter", "INPUT", reject),
        *([Jump("security", "INPUT", last)] if has_security else []),
        *(_to_escaped("security" if has_security else "filter", label) if has_programs else []),
    ]


def _escaped(program_path: Callable[[str], Path] | None) -> dict[str, list[str]]:
    """What came in, was denied, and is not marked as that any more. In a chain, since `-D` finds no rule with a pin."""
    return {"LASTIN": [f"{_asks(program_path, 'in_escaped')} -j DROP"]} if program_path else {}


def _to_escaped(table: str, label: str) -> list[Jump]:
    target = f"-j {chain_name(label, 'LASTIN')}"
    return [Jump(table, "INPUT", f"{_IS_SYN} {target}"), Jump(table, "INPUT", f"! -p tcp {target}")]


def _leaving(label: str, program_path: Callable[[str], Path] | None, *, reads_later: bool) -> dict[str, list[str]]:
    """What else is asked of packets that leave. Nothing of most, so these go on before the rules that ask it."""
    to_asked = f"-g {chain_name(label, 'ASKED')}"
    names = [
        *(f"-p udp -m udp --dport {port} {to_asked}" for port in _LINK_NAMES),
        *([] if reads_later else [f"{protocol} --dport 53 {to_asked}" for protocol in _DNS_PROTOCOLS]),
    ]
    if program_path is None:
        return {"POST": names}
    stream = [] if reads_later else [f"{_IS_NO_SYN} {to_asked}"]  # judged by its SYN, it cannot escape any more
    return {
        "POST": [
            _NO_SYN if reads_later else _NO_STREAM,
            f"{_asks(program_path, 'out_leaves')} -g {chain_name(label, 'LEAVING')}",
        ],
        "LEAVING": [*stream, f"{_asks(program_path, 'out_escaped')} -j DROP", *names],
    }


def _judgement(
    family: Family,
    label: str,
    queues: tuple[int, int],
    *,
    program_path: Callable[[str], Path] | None,
    scope: str | None,
    look: str,
) -> dict[str, list[str]]:
    """The chains that decide what is held, by part. `look`: what is done with names that come in."""
    marked, established = ([], []) if program_path else (_marked(label), [_ESTABLISHED])
    answers = _answers(program_path, look)
    unasked = _unasked(program_path)
    forged = [_FORGED] if family is Family.V6 else []
    # The match never holds for a packet without a socket, as tunnels send them; so it must not be negated.
    scoped = "" if scope is None else f'-m cgroup --path "{scope}" '
    no_syn = f"{_IS_NO_SYN} -g {chain_name(label, 'STREAM')}" if program_path else _NO_SYN
    parts = {
        "OUT": [*marked, no_syn, *established, *_pass_link(family, label, "OUT", scoped)],
        "LINKOUT": [*_LINK[family], f"{scoped}-g {chain_name(label, 'JUDGEOUT')}"],
        "JUDGEOUT": _judge(label, "out", queues[0], program_path),
        "NAMESIN": [unasked, look],
        "IN": [
            *marked,
            _MIDDLE,
            f"-p tcp -g {chain_name(label, 'TCPIN')}",
            answers,
            *established,
            *_pass_link(family, label, "IN"),
        ],
        "TCPIN": [_stream(label), unasked, _NO_SYN, f"-g {chain_name(label, 'JUDGEIN')}"],
        "LINKIN": [*_LINK[family], f"-g {chain_name(label, 'JUDGEIN')}"],
        # Without BPF nothing tells a listener of the scope from others: then what comes in is not judged.
        "JUDGEIN": [*forged, *(_judge(label, "in", queues[0], program_path) if program_path or scope is None else [])],
    }
    passed = {"PASS": [f"-j MARK --set-xmark 0x0/{ALLOW_BIT:#x}"]}
    if program_path is None:
        return {**passed, **parts}
    watch = _watch(label, queues[1], program_path)
    link_names = [f"-p udp -m udp --sport {port} {_look(queues[1])}" for port in _LINK_NAMES]
    return {**passed, "PASSIN": [_NO_LINK_NAME, *link_names], **watch, **parts}


def _watch(label: str, queue: int, program_path: Callable[[str], Path]) -> dict[str, list[str]]:
    """What connections without a name send is read; what a rule may deny waits for that, also while no daemon lives."""
    return {
        "WATCH": [
            f"{_asks(program_path, 'out_denied')} -g {chain_name(label, 'DENY')}",
            f"-m mark --mark {ALLOW_BIT:#x}/{ALLOW_BIT:#x} -g {chain_name(label, 'PASS')}",
            f"{_asks(program_path, 'out_guarded')} -j NFQUEUE --queue-num {queue}",
            _look(queue),
        ],
        "STREAM": [f"{_asks(program_path, 'out_stream')} -g {chain_name(label, 'WATCH')}"],
    }


def _asks(program_path: Callable[[str], Path], name: str) -> str:
    """As iptables-save prints it, without quotes: pins are in folders of our own, which have no blanks."""
    return f"-m bpf --object-pinned {program_path(name)}"


def _pass_link(family: Family, label: str, way: str, scoped: str = "") -> list[str]:
    """A chain that is gone to (-g) returns to where ours was called from, so RETURN there passes the packet on."""
    return [
        _DHCP[family, way],
        *([_IGMP] if family is Family.V4 else []),
        f"-p {_ICMP[family]} -g {chain_name(label, f'LINK{way}')}",
        f"{scoped}-g {chain_name(label, f'JUDGE{way}')}",
    ]


def _judge(label: str, way: str, queue: int, program_path: Callable[[str], Path] | None) -> list[str]:
    cached = []
    if program_path is not None:
        # What a machine of the link says of its name comes unasked, to netfilter: it is judged before it is looked at.
        passed = "-j RETURN" if way == "out" else f"-g {chain_name(label, 'PASSIN')}"
        watch = [f"{_asks(program_path, 'out_watched')} -g {chain_name(label, 'WATCH')}"] if way == "out" else []
        cached = [
            f"{_asks(program_path, f'{way}_allowed')} {passed}",
            f"{_asks(program_path, f'{way}_denied')} -g {chain_name(label, 'DENY')}",
            *watch,
        ]
    return [*cached, f"-j NFQUEUE --queue-num {queue}"]


def _marked(label: str) -> list[str]:
    """A packet that walks the chain again with its verdict as a mark."""
    return [
        f"-m mark --mark {ALLOW_BIT:#x}/{ALLOW_BIT:#x} -g {chain_name(label, 'PASS')}",
        f"{_DENIED} -j ACCEPT",
    ]


def _answers(program_path: Callable[[str], Path] | None, look: str) -> str:
    """DNS answers are learned before they are delivered; while no daemon lives they pass."""
    is_answer = "-m conntrack --ctstate ESTABLISHED --ctdir REPLY"
    if program_path is not None:
        is_answer = _asks(program_path, "in_answer")
    return f"-p udp -m udp --sport 53 {is_answer} {look}"


def _unasked(program_path: Callable[[str], Path] | None) -> str:
    """A SYN+ACK to a SYN that is still held. Conntrack knows that one only when it has left (nf_conntrack_confirm()),
    and no connection begins with a SYN+ACK (tcp_new() in nf_conntrack_proto_tcp.c)."""
    is_unasked = "-m conntrack --ctstate INVALID" if program_path is None else _asks(program_path, "in_unasked")
    return f"{_ANSWERS_SYN} {is_unasked} -j DROP"


def _stream(label: str) -> str:
    """DNS answers over TCP, piece by piece; only of a connection that is there, so that no flood comes near them.

    The match also has the kernel put all fragments together first (nf_defrag_ipv6_enable() in xt_socket.c): LOCAL_IN
    would see each of IPv6 alone, with its ports in the first one only.
    """
    return f"{_STREAM} -g {chain_name(label, 'NAMESIN')}"


def _questions(queue: int, scope: str | None) -> str:
    """DNS questions on their way out, allowed by now."""
    scoped = "" if scope is None else f' -m cgroup --path "{scope}"'
    return f"-m addrtype --src-type LOCAL{scoped} {_look(queue)}"


def _look(queue: int) -> str:
    return f"-j NFQUEUE --queue-num {queue} --queue-bypass"
