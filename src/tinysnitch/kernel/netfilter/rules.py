"""Writes the netfilter rules as text for iptables-restore: what is judged, in which order, and what a denial does.

The order in mangle OUTPUT and INPUT: (1) Of TCP only SYNs are judged, but each of them. (2) Inbound packets of
conversations that BPF knows go on. (3) What keeps the link itself alive is never held: neighbour discovery, DHCP, group
membership, ICMP errors. (Most UDP packets bypass the rules for these.) (4) Verdicts that BPF knows are carried out. (5)
The rest waits in the queue.

With BPF no rule asks conntrack, which would cost each connection more than all of ours. Without BPF only conntrack can
tell a packet of a known conversation (ESTABLISHED), and a SYN+ACK to a SYN that is still held (INVALID). Its other
states let nothing pass: INVALID, UNTRACKED and RELATED packets (what a conntrack helper expects) are judged like NEW
ones, and so is each SYN, since a new socket on the ports of a vanished one is ESTABLISHED too.

A denial is a mark, since REJECT exists in the filter table only. The marked packet leaves mangle at once (ACCEPT), so
that no later --set-mark overwrites the mark; behind the filter table a DROP waits for what another rule accepted before
our REJECT. Chains of others between mangle and filter may still overwrite it: with BPF the DROP also takes packets that
were denied and have lost our mark.
"""

from collections.abc import Callable
from enum import Enum
from pathlib import Path

import msgspec

from tinysnitch.core.model.scope import Scope

# On a packet that walks the chain again: allowed (without BPF, or lookup.bpf.h), or read (watch.bpf.h).
# One command's daemon has a bit of its own: if each of two daemons took the other's mark away, a packet that both hold
# would go to and fro for ever.
ALLOW_BIT, SCOPED_ALLOW_BIT = 0x10000000, 0x08000000
# A whole mark, without these bits: a bit alone may be part of other people's marks (WireGuard's fwmark is any number).
# The packet loses the mark that it had before, but since it does not go on, nothing misses that.
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
# Segments of open connections, except those to a resolver.
_NO_STREAM = "-p tcp -m tcp ! --dport 53 ! --tcp-flags SYN,RST,ACK SYN -j RETURN"
# Segments without the SYN bit, except those of a resolver: most of what comes in.
_MIDDLE = "-p tcp -m tcp ! --sport 53 --tcp-flags SYN NONE -j RETURN"
_DNS_PROTOCOLS = ("-p udp -m udp", "-p tcp -m tcp")
_STREAM = "-p tcp -m tcp --sport 53 ! --tcp-flags SYN,RST,ACK SYN"
# Resets are not queued: one that we send has the conntrack of the packet that it refuses, so the queue would drop it
# (7d8dc1c7be8d, "drop packets with cloned unconfirmed conntracks").
_RESET = "-p tcp -m tcp --tcp-flags RST RST -j RETURN"
# Not on loopback, where nobody can forge one without privileges: a listener answers the SYN that it got.
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
# Most packets that are not TCP: they bypass the rules for the link.
_NO_DHCP = {
    (Family.V4, "OUT"): "-p udp -m udp ! --dport 67",
    (Family.V4, "IN"): "-p udp -m udp ! --sport 67",
    (Family.V6, "OUT"): "-p udp -m udp ! --dport 547",
    (Family.V6, "IN"): "-p udp -m udp ! --sport 547",
}
_IGMP = "-p 2 -j RETURN"
# In place of bpf/verdict/egress_local.bpf.h where there is no BPF: packets to this machine that are about to leave it.
_ASTRAY = {
    Family.V4: "! -o lo {scoped}-m addrtype --dst-type LOCAL -j DROP",
    Family.V6: "! -d fe80::/10 ! -o lo {scoped}-m addrtype --dst-type LOCAL -j DROP",
}
# Packets from outside with a source of ours, or from here with one of another machine. For IPv4 the kernel prevents
# both (fib_validate_source(), ip_route_output_key_hash_rcu()), but route_localnet (a sysctl) lets 127.0.0.2 in. A VRF
# has a loopback of its own. With IPv6 any program may bind an address that is not ours (IPV6_FREEBIND, ipv6(7)).
_FORGED = {
    Family.V4: ["-s 127.0.0.0/8 ! -i lo -m addrtype ! --src-type LOCAL --limit-iface-in -j DROP"],
    Family.V6: [
        "! -d ff00::/8 ! -i lo -m addrtype --src-type LOCAL -j DROP",
        "! -s ::1/128 -i lo -m addrtype ! --src-type LOCAL -j DROP",
    ],
}
# A refusal goes to the packet's source, and ICMPv6 quotes the packet. So only packets with a source of ours are
# refused; other denied ones fall to the DROP behind the filter table.
_OURS = "-m addrtype --src-type LOCAL"
# Our own multicasts come back by the interface that they left by, with packet type 5, PACKET_LOOPBACK
# (dev_loopback_xmit()). This bytecode loads SKF_AD_PKTTYPE, and returns 1 for that type, or for all others. A kernel
# without BPF may lack the match.
_LOOP = '-m bpf --bytecode "4,32 0 0 4294963204,21 {} 5,6 0 0 1,6 0 0 0"'
_IS_LOOP, _IS_NO_LOOP = _LOOP.format("0 1"), _LOOP.format("1 0")
_FORGED_GROUP = [
    f"-d ff00::/8 ! -i lo {_IS_NO_LOOP} -m addrtype --src-type LOCAL -j DROP",
    f"-d ff00::/8 ! -i lo {_IS_LOOP} -m addrtype ! --src-type LOCAL -j DROP",
]
_ICMP = {Family.V4: "icmp", Family.V6: "ipv6-icmp"}
_LINK = {
    # RFC 792 errors: unreachable, quench, redirect, time exceeded, parameter problem. In any conntrack state: an error
    # about a packet that we refused is INVALID, since conntrack forgot that packet.
    Family.V4: [f"-p icmp -m icmp --icmp-type {kind} -j RETURN" for kind in (3, 4, 5, 11, 12)],
    # RFC 4443 errors; RFC 2710 and 3810 listeners; RFC 4861 router and neighbour discovery with redirect
    Family.V6: [
        f"-p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j RETURN"
        for kind in (1, 2, 3, 4, 130, 131, 132, 143, 133, 134, 135, 136, 137)
    ],
}
_UNREACHABLE = {Family.V4: "icmp-port-unreachable", Family.V6: "icmp6-port-unreachable"}
# The only error that ends an association of SCTP (sctp_v4_err_handle()), which otherwise tries for minutes. There is
# one for IPv6 too (sctp_v6_err_handle()), but netfilter cannot send it.
_REFUSE_SCTP = {Family.V4: ["-p sctp -j REJECT --reject-with icmp-proto-unreachable"], Family.V6: []}


def allow_bit(scope: Scope) -> int:
    return {Scope.MACHINE: ALLOW_BIT, Scope.COMMAND: SCOPED_ALLOW_BIT}[scope]


def chain_name(label: str, part: str) -> str:
    return f"{label}-{part}"


class RuleWriter(msgspec.Struct, frozen=True, kw_only=True):
    """Writes all of our rules for one family."""

    family: Family
    label: str
    queues: tuple[int, int]
    program_path: Callable[[str], Path] | None  # of a pinned verdict program; None: the degraded mode
    cgroup: str | None  # path below the mount of the only one that is judged; None: all are
    has_security: bool

    @property
    def scope(self) -> Scope:
        return Scope.MACHINE if self.cgroup is None else Scope.COMMAND

    def build(self, remark: str) -> RuleSet:
        """All chains, in the order that they are committed: what a denial needs stands before anything is judged."""
        # No packet comes to the remark: it is for whoever removes the rules (netfilter.py). Each table has it: they are
        # committed one by one, and another tinysnitchd that starts meanwhile must not take ours for the machine's.
        note = f'-m comment --comment "{remark}"'
        unreachable = f"-j REJECT --reject-with {_UNREACHABLE[self.family]}"
        unheard = [f"-p tcp {self._asks('out_unheard')} {unreachable}"] if self.program_path else []
        reset = "-p tcp -j REJECT --reject-with tcp-reset"
        reject = [*unheard, reset, *_REFUSE_SCTP[self.family], unreachable]
        later = {**self._questions(), **self._late_answers(), **self._reading()} if self.reads_later else {}
        parts = {
            **({"security": {"LAST": ["-j DROP", note], **self._escaped(), **later}} if self.has_security else {}),
            "filter": {
                "REJECT": [*reject, note],
                "REFUSE": [f"{ours}{self._go('REJECT')}" for ours in self._refused()],
                **({} if self.has_security else self._escaped()),
            },
            "mangle": {
                **self._judgement(),
                "LAST": ["-j DROP"],
                **self._reading(),
                **self._questions(),
                **self._leaving(),
                "DENY": [f"-j MARK --set-xmark {DENY_MARK:#x}/0xffffffff", "-j ACCEPT", note],
            },
        }
        named = {
            table: {chain_name(self.label, part): rules for part, rules in chains.items()}
            for table, chains in parts.items()
        }
        return RuleSet(named, [*self._jumps(), *(self._jumps_to_names() if self.reads_later else [])])

    @property
    def reads_later(self) -> bool:
        """Whether DNS messages are read in the security table. Reading a packet ends its way through the table, and the
        machine's daemon reads in mangle: so `tinysnitch run` reads behind it. (security has no POSTROUTING.)"""
        return self.scope.reads_behind_others and self.has_security

    @property
    def _seen(self) -> str:
        bit = allow_bit(self.scope)
        return f"-m mark --mark {bit:#x}/{bit:#x}"

    def _jump(self, part: str) -> str:
        return f"-j {chain_name(self.label, part)}"

    def _go(self, part: str) -> str:
        """RETURN in a chain that was entered by -g ends all of our chains of the hook: it passes the packet on."""
        return f"-g {chain_name(self.label, part)}"

    def _asks(self, name: str) -> str:
        """As iptables-save prints it, without quotes: pins are in folders of our own, which have no blanks."""
        assert self.program_path is not None
        return f"-m bpf --object-pinned {self.program_path(name)}"

    def _look(self) -> str:
        return f"-j NFQUEUE --queue-num {self.queues[1]} --queue-bypass"

    # The jumps

    def _jumps(self) -> list[Jump]:
        reject, last = self._jump("REJECT"), f"{_DENIED} {self._jump('LAST')}"
        return [
            Jump("mangle", "OUTPUT", self._jump("OUT")),
            Jump("mangle", "INPUT", self._jump("IN")),
            Jump("mangle", "POSTROUTING", last),
            Jump("mangle", "POSTROUTING", self._jump("POST")),
            Jump("filter", "OUTPUT", f"{_DENIED} {self._jump('REFUSE')}"),
            Jump("filter", "INPUT", f"{_DENIED} {reject}"),
            *([Jump("security", "INPUT", last)] if self.has_security else []),
            *(self._jumps_to_escaped() if self.program_path else []),
        ]

    def _refused(self) -> list[str]:
        """Matches for those denied outbound packets that are refused."""
        if self.family is Family.V4:
            return [""]
        return [f"{_OURS} ", *([f"{self._asks('out_ours')} "] if self.program_path else [])]

    def _jumps_to_escaped(self) -> list[Jump]:
        table = "security" if self.has_security else "filter"
        return [Jump(table, "INPUT", f"{packets} {self._jump('LASTIN')}") for packets in ("! -p tcp", _IS_SYN)]

    def _jumps_to_names(self) -> list[Jump]:
        ways = (("OUTPUT", "--dport", "ASKED"), ("INPUT", "--sport", "NAMES"))
        return [
            Jump("security", chain, f"{protocol} {end} 53 {self._jump(part)}")
            for chain, end, part in ways
            for protocol in _DNS_PROTOCOLS
        ]

    # What is judged

    def _judgement(self) -> dict[str, list[str]]:
        """The chains that decide what is held, by part."""
        unmarked = f"-j MARK --set-xmark 0x0/{allow_bit(self.scope):#x}"
        told = f"{self._asks('in_told')} " if self.program_path else ""
        link_names = [f"-p udp -m udp --sport {port} {told}{self._look()}" for port in _LINK_NAMES]
        passed = {"PASS": [unmarked], "PASSIN": [unmarked, _NO_LINK_NAME, *link_names]}
        return {**passed, **(self._watch() if self.program_path else {}), **self._outbound(), **self._inbound()}

    def _watch(self) -> dict[str, list[str]]:
        """Have data of connections without a sure name read. If a rule may deny it, it waits while no daemon runs."""
        return {
            "WATCH": [
                f"{self._asks('out_astray')} -j DROP",
                f"{self._asks('out_denied')} {self._go('DENY')}",
                f"{self._seen} {self._go('PASS')}",
                f"{self._asks('out_unread')} -j DROP",
                f"{self._asks('out_guarded')} -j NFQUEUE --queue-num {self.queues[1]}",
                self._look(),
            ],
            "STREAM": [f"{self._asks('out_stream')} {self._go('SHOWN')}"],
            "SHOWN": [
                f"{self._asks('out_unopened')} -j DROP",
                f"{self._asks('out_strayed')} {self._go('JUDGEOUT')}",
                self._go("WATCH"),
            ],
        }

    def _outbound(self) -> dict[str, list[str]]:
        # Must not be negated: the match never holds for packets without a socket, which tunnels send.
        scoped = "" if self.cgroup is None else f'-m cgroup --path "{self.cgroup}" '
        no_syn = f"{_IS_NO_SYN} {self._go('STREAM')}" if self.program_path else _NO_SYN
        return {
            "OUT": [
                *self._marked("PASS"),
                *([] if self.program_path else [_ASTRAY[self.family].format(scoped=scoped)]),
                no_syn,
                *self._established(),
                *self._pass_link("OUT", scoped),
            ],
            "LINKOUT": [*_LINK[self.family], f"{scoped}{self._go('JUDGEOUT')}"],
            "JUDGEOUT": self._judge("out"),
        }

    def _inbound(self) -> dict[str, list[str]]:
        look = "-j RETURN" if self.reads_later else self._read("in")
        forged_group = _FORGED_GROUP if self.family is Family.V6 and self.program_path else []
        # Without BPF nothing tells listeners of the scope from others: then inbound packets are not judged.
        is_judged = self.program_path is not None or self.cgroup is None
        return {
            "NAMESIN": [self._unasked(), look],
            "IN": [
                *self._marked("PASSIN"),
                _MIDDLE,
                f"-p tcp {self._go('TCPIN')}",
                *self._going(),
                self._answers(look),
                *self._established(),
                *self._pass_link("IN"),
            ],
            "TCPIN": [*self._stream(self._go("NAMESIN")), self._unasked(), _NO_SYN, self._go("JUDGEIN")],
            "LINKIN": [*_LINK[self.family], self._go("JUDGEIN")],
            "JUDGEIN": [*_FORGED[self.family], *forged_group, *(self._judge("in") if is_judged else [])],
        }

    def _going(self) -> list[str]:
        """Most of what is not TCP goes on here at once; for IPv6 that saves the check of the addresses, 0.4 µs."""
        return [f"{self._asks('in_going')} -j RETURN"] if self.program_path else []

    def _pass_link(self, way: str, scoped: str = "") -> list[str]:
        judged = self._go(f"JUDGE{way}")
        return [
            f"{_NO_DHCP[self.family, way]} {scoped}{judged}",
            _DHCP[self.family, way],
            *([_IGMP] if self.family is Family.V4 else []),
            f"-p {_ICMP[self.family]} {self._go(f'LINK{way}')}",
            f"{scoped}{judged}",
        ]

    def _judge(self, way: str) -> list[str]:
        rules = []
        if self.program_path is not None:
            # What a machine of the link says of its name comes unasked: it is judged first, and then read.
            passed = "-j RETURN" if way == "out" else self._go("PASSIN")
            rules += [f"{self._asks(f'{way}_allowed')} {passed}", f"{self._asks(f'{way}_denied')} {self._go('DENY')}"]
            if way == "out":
                rules += [f"{self._asks('out_watched')} {self._go('WATCH')}", f"{self._asks('out_astray')} -j DROP"]
            rules.append(f"{self._asks(f'{way}_over_quota')} -j DROP")
        return [*rules, f"-j NFQUEUE --queue-num {self.queues[0]}"]

    def _marked(self, passed_to: str) -> list[str]:
        """Without BPF a packet walks the chain again with its verdict as a mark."""
        return [] if self.program_path else [f"{self._seen} {self._go(passed_to)}", f"{_DENIED} -j ACCEPT"]

    def _established(self) -> list[str]:
        return [] if self.program_path else [_ESTABLISHED]

    def _unasked(self) -> str:
        """Drop a SYN+ACK to a SYN that is still held. Conntrack knows a SYN only when it has left, and no connection
        begins with a SYN+ACK (nf_conntrack_confirm(), tcp_new() in nf_conntrack_proto_tcp.c)."""
        is_unasked = self._asks("in_unasked") if self.program_path else "-m conntrack --ctstate INVALID"
        return f"{_ANSWERS_SYN} {is_unasked} -j DROP"

    # Names

    def _read(self, way: str) -> str:
        return self._go(f"READ{way.upper()}") if self.program_path else self._look()

    def _reading(self) -> dict[str, list[str]]:
        """Chains that have DNS messages read, except for what is beyond their sender's share."""
        if self.program_path is None:
            return {}
        read = {way: [f"{self._asks(f'{way}_unread')} -j DROP", self._look()] for way in ("out", "in")}
        read["out"].insert(1, f"{self._asks('out_copied')} -j RETURN")
        return {f"READ{way.upper()}": rules for way, rules in read.items()}

    def _questions(self) -> dict[str, list[str]]:
        """DNS questions that leave: they were allowed before."""
        scoped = "" if self.cgroup is None else f' -m cgroup --path "{self.cgroup}"'
        ours = [_OURS, *([self._asks("out_ours")] if self.program_path else [])]
        return {"ASKED": [f"{match}{scoped} {self._read('out')}" for match in ours]}

    def _answers(self, look: str) -> str:
        """DNS answers are learned before they are delivered; while no daemon lives they pass."""
        is_answer = "-m conntrack --ctstate ESTABLISHED --ctdir REPLY"
        return f"-p udp -m udp --sport 53 {self._asks('in_answer') if self.program_path else is_answer} {look}"

    def _late_answers(self) -> dict[str, list[str]]:
        return {"NAMES": [self._answers(self._read("in")), *self._stream(self._read("in"))]}

    def _stream(self, look: str) -> list[str]:
        """DNS answers over TCP, piece by piece; only of a connection that is there, so that no flood crowds them out.

        With BPF this is not `-m socket`, which has the kernel reassemble fragments, for 0.1 µs a packet of any kind. It
        also holds for a reset that refuses a connection.
        """
        if self.program_path:
            return [f"{_STREAM} {self._asks('in_answer')} {look}"]
        return [_RESET, f"{_STREAM} -m socket {look}"]

    # What leaves, and what escaped

    def _escaped(self) -> dict[str, list[str]]:
        """Drop denied inbound packets that lost our mark. In a chain of its own: `-D` finds no rule with a pin."""
        return {"LASTIN": [f"{self._asks('in_escaped')} -j DROP"]} if self.program_path else {}

    def _leaving(self) -> dict[str, list[str]]:
        """What is asked of packets that leave. For most it is nothing, so these pass before the other rules."""
        to_asked = self._go("ASKED")
        names = [
            *(f"-p udp -m udp --dport {port} {to_asked}" for port in _LINK_NAMES),
            *([] if self.reads_later else [f"{protocol} --dport 53 {to_asked}" for protocol in _DNS_PROTOCOLS]),
        ]
        if self.program_path is None:
            return {"POST": names}
        leaving = [f"{self._asks('out_escaped')} -j DROP", *names]
        if not self.reads_later:  # of a connection whose SYN was judged, nothing can escape
            leaving.insert(0, f"{_IS_NO_SYN} {to_asked}")
        middle = _NO_SYN if self.reads_later else _NO_STREAM
        return {"POST": [middle, f"{self._asks('out_leaves')} {self._go('LEAVING')}"], "LEAVING": leaving}
