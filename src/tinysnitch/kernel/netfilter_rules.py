"""The netfilter rules as text for iptables-restore: what is judged, in which order, and what comes of a denial.

The order, in mangle OUTPUT and INPUT: what belongs to a known conversation returns; TCP is judged by its SYN alone,
since with nf_conntrack_tcp_loose a mid-stream packet counts as NEW; what keeps the link itself alive is never held
(neighbour discovery, DHCP, group membership, ICMP errors); then the kernel's cached verdicts; the rest waits in the
queue. No state is taken for granted: INVALID and UNTRACKED packets are judged like NEW ones.

A denial is a mark, since REJECT exists in the filter table only. It ends mangle (ACCEPT), so that no later --set-mark
loses it; behind the filter table a DROP waits for what another rule accepted before our REJECT.
"""

from collections.abc import Callable
from enum import Enum
from pathlib import Path

import msgspec

ALLOW_BIT = 0x10000000  # only without BPF, on its way through the chain once more
DENY_BIT = 0x20000000


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


_DENIED = f"-m mark --mark {DENY_BIT:#x}/{DENY_BIT:#x}"
_NEVER_HELD = {
    (Family.V4, "OUT"): ("-p udp -m udp --sport 68 --dport 67",),
    (Family.V4, "IN"): ("-p udp -m udp --sport 67 --dport 68",),
    (Family.V6, "OUT"): ("-p udp -m udp --sport 546 --dport 547",),
    (Family.V6, "IN"): ("-p udp -m udp --sport 547 --dport 546",),
}
_LINK = {
    # IGMP; unreachable, time exceeded, parameter problem that conntrack could not relate
    Family.V4: ("-p 2", *(f"-p icmp -m icmp --icmp-type {kind}" for kind in (3, 11, 12))),
    # RFC 4443 errors; RFC 2710 and 3810 listeners; RFC 4861 router and neighbour discovery with redirect
    Family.V6: tuple(
        f"-p ipv6-icmp -m icmp6 --icmpv6-type {kind}"
        for kind in (1, 2, 3, 4, 130, 131, 132, 143, 133, 134, 135, 136, 137)
    ),
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
    out, into, post = (chain_name(label, part) for part in ("OUT", "IN", "POST"))
    mangle = {
        out: _judge(family, label, "OUT", queues[0], program_path, scope),
        into: [_answers(queues[1]), *_judge(family, label, "IN", queues[0], program_path, None)],
        post: [
            f"{_DENIED} -j DROP",
            f"-p udp -m udp --dport 53 -m addrtype --src-type LOCAL{_in_scope(scope)} {_look(queues[1])}",
            f'-m comment --comment "{remark}"',
        ],
        chain_name(label, "DENY"): [f"-j MARK --set-xmark {DENY_BIT:#x}/{DENY_BIT:#x}", "-j ACCEPT"],
    }
    if program_path is None:
        mangle[chain_name(label, "PASS")] = [f"-j MARK --set-xmark 0x0/{ALLOW_BIT:#x}"]
    reject = chain_name(label, "REJECT")
    chains = {
        "mangle": mangle,
        "filter": {
            reject: ["-p tcp -j REJECT --reject-with tcp-reset", f"-j REJECT --reject-with {_UNREACHABLE[family]}"]
        },
    }
    jumps = [
        Jump("mangle", "OUTPUT", f"-j {out}"),
        Jump("mangle", "INPUT", f"-j {into}"),
        Jump("mangle", "POSTROUTING", f"-j {post}"),
        Jump("filter", "OUTPUT", f"{_DENIED} -j {reject}"),
        Jump("filter", "INPUT", f"{_DENIED} -j {reject}"),
    ]
    if has_security:
        last = chain_name(label, "LAST")
        chains["security"] = {last: [f"{_DENIED} -j DROP"]}
        jumps.append(Jump("security", "INPUT", f"-j {last}"))
    return RuleSet(chains, jumps)


def _judge(
    family: Family,
    label: str,
    way: str,
    queue: int,
    program_path: Callable[[str], Path] | None,
    scope: str | None,
) -> list[str]:
    rules = [] if program_path else _marked(label)
    rules += [
        "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
        "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN",
    ]
    rules += [f"{match} -j RETURN" for match in (*_NEVER_HELD[family, way], *_LINK[family])]
    if scope is not None:
        rules.append(f'-m cgroup ! --path "{scope}" -j RETURN')
    if program_path is not None:
        side = way.lower()
        rules.append(f'-m bpf --object-pinned "{program_path(f"{side}_allowed")}" -j RETURN')
        rules.append(f'-m bpf --object-pinned "{program_path(f"{side}_denied")}" -g {chain_name(label, "DENY")}')
    return [*rules, f"-j NFQUEUE --queue-num {queue}"]


def _marked(label: str) -> list[str]:
    """A packet that walks the chain again with its verdict as a mark."""
    return [
        f"-m mark --mark {ALLOW_BIT:#x}/{ALLOW_BIT:#x} -g {chain_name(label, 'PASS')}",
        f"{_DENIED} -j ACCEPT",
    ]


def _answers(queue: int) -> str:
    """DNS answers are learned before they are delivered; while no daemon lives they pass."""
    return f"-p udp -m udp --sport 53 -m conntrack --ctstate ESTABLISHED --ctdir REPLY {_look(queue)}"


def _look(queue: int) -> str:
    return f"-j NFQUEUE --queue-num {queue} --queue-bypass"


def _in_scope(scope: str | None) -> str:
    return "" if scope is None else f' -m cgroup --path "{scope}"'
