"""escape.bpf.h: behind all others, what is denied is dropped, and what netfilter's rules pass unasked is not."""

import re
from pathlib import Path

import pytest

from tests.kernel.bpf_place import Agent, BpfPlace
from tinysnitch.core.commands import VerdictKey
from tinysnitch.core.flow import ICMP, ICMPV6, Direction
from tinysnitch.core.verdict import Verdict
from tinysnitch.kernel.bpf_programs import BpfPrograms
from tinysnitch.kernel.netfilter_rules import Family, RuleWriter

pytestmark = pytest.mark.privileged

IGMP = 2
ALL = set(range(256))
ADDRESSES = {"AF_INET": "127.0.0.1", "AF_INET6": "::1"}


def passed_types(family: Family) -> set[int]:
    """What the product's rules let go as ICMP of the link."""
    writer = RuleWriter(family=family, label="TS", queues=(1, 2), program_path=Path, scope=None, has_security=True)
    rules = writer.build(remark="")
    return {int(kind) for kind in re.findall(r"-type (\d+) -j RETURN", "\n".join(rules.chains["mangle"]["TS-LINKOUT"]))}


@pytest.fixture
def outbound(place: BpfPlace, programs: BpfPrograms) -> BpfPrograms:
    """A denial is seen, and nobody acts on it: as if its mark were gone."""
    denied, escaped = programs.program_path("out_denied"), programs.program_path("out_escaped")
    for iptables in ("iptables", "ip6tables"):
        place.run(iptables, "-A", "OUTPUT", "-m", "bpf", "--object-pinned", str(denied), "-j", "ACCEPT")
        mangle = [iptables, "-t", "mangle", "-A", "POSTROUTING"]
        place.run(*mangle, "-m", "bpf", "--object-pinned", str(escaped), "-j", "DROP")
    return programs


@pytest.mark.parametrize(
    ("family", "protocol", "passed"),
    [
        ("AF_INET", ICMP, passed_types(Family.V4)),
        ("AF_INET6", ICMPV6, passed_types(Family.V6)),
        ("AF_INET", ICMPV6, set()),
        ("AF_INET6", ICMP, set()),
        ("AF_INET", IGMP, ALL),
        ("AF_INET6", IGMP, set()),
    ],
)
def test_what_keeps_the_link_alive_is_what_the_rules_pass(
    outbound: BpfPrograms, agent: Agent, family: str, protocol: int, passed: set[int]
) -> None:
    process = outbound.find_process(agent.pid)
    assert process
    key = VerdictKey(process.exec_id, 0, protocol, Direction.OUTBOUND, None, 0)
    outbound.remember_verdict(key, Verdict.DENY, outbound.generation, 0)
    handle, _cookie = agent.call("open_socket", family, "SOCK_RAW", protocol)
    left = set()
    for kind in ALL:
        before = outbound.read_statistics()["lost_marks"]
        agent.call("send_raw", handle, ADDRESSES[family], [kind, *bytes(7)])
        if outbound.read_statistics()["lost_marks"] == before:
            left.add(kind)
    assert left == passed
