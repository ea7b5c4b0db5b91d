"""rate_limit.bpf.c: how many packets of each program and user go on to the queue, while user space does not keep up."""

import re
import time
from pathlib import Path

import pytest

from tests.bpf.bpf_place import Agent, BpfPlace
from tests.bpf.packet_place import QUEUES
from tests.bpf.packet_run import make_udp, run_on_packet
from tests.kernel.netfilter.test_rules import build_rules
from tinysnitch.kernel.bpf.layout import QUOTA_MOMENT_NS
from tinysnitch.kernel.bpf.programs import BpfPrograms
from tinysnitch.kernel.netfilter.rules import Family

pytestmark = pytest.mark.privileged

MANY = 100


@pytest.fixture
def asked(place: BpfPlace, programs: BpfPrograms) -> BpfPrograms:
    for name, target in (("out_allowed", "ACCEPT"), ("out_over_quota", "DROP"), ("out_unread", "DROP")):
        path = str(programs.program_path(name))
        place.run("iptables", "-A", "OUTPUT", "-p", "udp", "-m", "bpf", "--object-pinned", path, "-j", target)
    return programs


def send(agent: Agent, count: int, first_port: int = 4000) -> None:
    handle, _cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    agent.call("send_to_each", handle, "127.0.0.1", first_port, count)


def count_lost(programs: BpfPrograms) -> int:
    return programs.read_statistics()["lost_over_quota"]


def count_unread(programs: BpfPrograms) -> int:
    return programs.read_statistics()["lost_messages"]


def count_moments(began_ns: int) -> int:
    """How many moments may have begun since; the clock of the kernel's side is coarse."""
    return time.monotonic_ns() // QUOTA_MOMENT_NS - began_ns // QUOTA_MOMENT_NS + 2


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize("cgroup", [None, "x"])
def test_no_rule_has_more_queued_than_its_senders_share(family: Family, cgroup: str | None) -> None:
    """Data of watched connections, too, which are read beside DNS messages."""
    rules = build_rules(family, program_path=Path("/pins").joinpath, cgroup=cgroup, has_security=True)
    limits = {QUEUES[0]: "_over_quota -j DROP", QUEUES[1]: "_unread -j DROP"}
    for chain in (chain for table in rules.chains.values() for chain in table.values()):
        for place, rule in enumerate(chain):
            queue = re.search(r"--queue-num (\d+)", rule)
            if queue and "in_told" not in rule:
                assert any(earlier.endswith(limits[int(queue[1])]) for earlier in chain[:place]), rule


def test_while_user_space_keeps_up_nothing_is_dropped(asked: BpfPrograms, agent: Agent) -> None:
    send(agent, MANY)
    assert count_lost(asked) == 0


def test_a_program_has_a_quarter_of_its_users_share(asked: BpfPrograms, agent: Agent) -> None:
    asked.settings.set_packet_limit(8)
    began_ns = time.monotonic_ns()
    send(agent, MANY)
    moments = count_moments(began_ns)
    assert MANY - 2 * moments <= count_lost(asked) < MANY


def test_a_program_that_sends_too_much_keeps_no_other_from_the_queue(
    place: BpfPlace, asked: BpfPrograms, agent: Agent
) -> None:
    asked.settings.set_packet_limit(8)
    other = place.start_agent()
    send(agent, MANY)
    before = count_lost(asked)
    assert before
    send(other, 1)
    assert count_lost(asked) == before


def test_any_number_of_programs_have_no_more_than_their_user(place: BpfPlace, asked: BpfPrograms, agent: Agent) -> None:
    asked.settings.set_packet_limit(1)
    others = [agent, *(place.start_agent() for _ in range(3))]
    began_ns = time.monotonic_ns()
    for round_ in range(10):
        for each in others:
            send(each, 1, 4000 + round_)
    moments = count_moments(began_ns)
    assert count_lost(asked) >= 40 - moments


@pytest.mark.parametrize(("first_uid", "is_together"), [(1000, False), (100_000, True)])
def test_all_users_of_containers_have_no_more_than_one_user(
    asked: BpfPrograms, agent: Agent, first_uid: int, is_together: bool
) -> None:
    """One person may have any number of these."""
    asked.settings.set_packet_limit(1)
    handle, _cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    began_ns = time.monotonic_ns()
    for number in range(MANY):
        agent.call("send_as", handle, first_uid + number, "127.0.0.1", 4000 + number)
    moments = count_moments(began_ns)
    assert count_lost(asked) == 0 if not is_together else count_lost(asked) >= MANY - moments


def test_names_of_the_link_are_read_up_to_a_limit(place: BpfPlace, programs: BpfPrograms, agent: Agent) -> None:
    told = ["-m", "bpf", "--object-pinned", str(programs.program_path("in_told"))]
    place.run("iptables", "-A", "OUTPUT", "-p", "udp", *told)
    began_ns = time.monotonic_ns()
    for round_ in range(5):
        send(agent, 200, 4000 + 200 * round_)
    moments = count_moments(began_ns)
    (found,) = re.findall(r"^\[(\d+):\d+\] -A OUTPUT .*bpf", place.run("iptables-save", "-c"), re.MULTILINE)
    assert 64 <= int(found) <= 64 * moments


def send_as(agent: Agent, uid: int, count: int, first_port: int = 4000) -> None:
    handle, _cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    for port in range(first_port, first_port + count):
        agent.call("send_as", handle, uid, "127.0.0.1", port)


@pytest.mark.parametrize(("uid", "share"), [(1000, 1), (999, 8)])
def test_of_messages_a_program_has_an_eighth_of_what_a_service_has(
    asked: BpfPrograms, agent: Agent, uid: int, share: int
) -> None:
    """A resolver on this machine, which is a service, asks for all other programs."""
    asked.settings.set_message_limit(8)
    began_ns = time.monotonic_ns()
    send_as(agent, uid, MANY)
    assert MANY - share * count_moments(began_ns) <= count_unread(asked) < MANY
    assert count_lost(asked) == 0


def test_messages_of_unknown_programs_take_no_room_of_services(
    place: BpfPlace, programs: BpfPrograms, agent: Agent
) -> None:
    """A program is unknown if its flow was forgotten, say. Here only the flow to the last port is noted."""
    for name, port, target in (("out_allowed", str(4000 + MANY), "ACCEPT"), ("out_unread", "4000:5000", "DROP")):
        path = str(programs.program_path(name))
        words = ["-p", "udp", "--dport", port, "-m", "bpf", "--object-pinned", path]
        place.run("iptables", "-A", "OUTPUT", *words, "-j", target)
    programs.settings.set_message_limit(8)
    send(agent, MANY)
    before = count_unread(programs)
    assert before
    send(agent, 1, 4000 + MANY)
    assert count_unread(programs) == before


def test_an_answer_counts_for_the_program_that_asked(place: BpfPlace, programs: BpfPrograms, agent: Agent) -> None:
    """Not for the sender of the answer; and apart from the questions."""
    ends = (("OUTPUT", "--dport", "out_allowed", "ACCEPT"), ("INPUT", "--sport", "in_unread", "DROP"))
    for chain, end, name, target in ends:
        match = ["-p", "udp", end, "4000", "-m", "bpf", "--object-pinned", str(programs.program_path(name))]
        place.run("iptables", "-A", chain, *match, "-j", target)
    server, asker = (agent.call("open_socket", "AF_INET", "SOCK_DGRAM")[0] for _ in range(2))
    agent.call("bind", server, "127.0.0.1", 4000)
    agent.call("bind", asker, "127.0.0.1", 5000)
    agent.call("send_as", asker, 1000, "127.0.0.1", 4000)
    programs.settings.set_message_limit(8)
    began_ns = time.monotonic_ns()
    for _ in range(MANY):
        agent.call("send_to", server, "127.0.0.1", 5000)
    assert MANY - count_moments(began_ns) <= count_unread(programs) < MANY


def send_at_once(agent: Agent, port: int, own_port: int = 0) -> str:
    """Two datagrams by one call, which netfilter sees as one packet (udp(7), UDP_SEGMENT)."""
    udp_segment = 103  # linux/udp.h
    handle, _cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
    assert not agent.call("set_option", handle, "IPPROTO_UDP", udp_segment, [4, 0, 0, 0])
    agent.call("bind", handle, "127.0.0.1", own_port)
    assert not agent.call("connect", handle, "127.0.0.1", port)
    return str(agent.call("send", handle, "one,two,"))


@pytest.mark.parametrize(("port", "lost"), [(53, 1), (5353, 1), (443, 0)])
def test_several_questions_in_one_packet_do_not_go_on(asked: BpfPrograms, agent: Agent, port: int, lost: int) -> None:
    """Only the first would be read. To other ports they may go: QUIC is sent so."""
    assert send_at_once(agent, port) == ("EPERM" if lost else "")
    assert count_unread(asked) == lost


@pytest.mark.parametrize(("own_port", "lost"), [(53, 1), (443, 0)])
def test_nor_do_several_answers_in_one_packet(
    place: BpfPlace, programs: BpfPrograms, agent: Agent, own_port: int, lost: int
) -> None:
    """The kernel puts them together for a program that wants that (UDP_GRO)."""
    unread = ["-m", "bpf", "--object-pinned", str(programs.program_path("in_unread")), "-j", "DROP"]
    place.run("iptables", "-A", "INPUT", "-p", "udp", *unread)
    assert not send_at_once(agent, 4000, own_port)
    assert count_unread(programs) == lost


@pytest.mark.parametrize(("port", "gso_size", "lost"), [(53, 4, 1), (53, 0, 0), (443, 4, 0)])
def test_nor_do_answers_that_another_machine_put_into_one_packet(
    programs: BpfPrograms, port: int, gso_size: int, lost: int
) -> None:
    """From a virtual machine's host they come without their number (virtio_net_hdr_to_skb())."""
    packet = make_udp("192.0.2.1", port, "127.0.0.1", 5000)
    assert run_on_packet(programs.program_path("in_unread"), packet, gso_size) == lost
    assert count_unread(programs) == lost
