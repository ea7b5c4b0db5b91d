""""""

import os
import select
import socket
from typing import Any

import pytest

from tests.bpf.packet_place import HERE, LABEL, QUEUES, THERE, PacketPlace, Wire, entered, is_ready, wait_packets
from tests.lab.patience import WAIT_S
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.kernel.netfilter import firewall as netfilter_module
from tinysnitch.kernel.netfilter import iptables
from tinysnitch.kernel.netfilter.firewall import Netfilter, NetfilterNews, describe_others, has_ipv6
from tinysnitch.kernel.netfilter.nf_tables import list_tables
from tinysnitch.kernel.netfilter.rules import Family
from tinysnitch.kernel.netfilter.saved_rules import render_addition
from tinysnitch.kernel.nfqueue.packet_events import LOCAL_IN, POST_ROUTING
from tinysnitch.kernel.proc.cgroups import make_cgroup, path_in_hierarchy, remove_cgroup

V4, V6 = socket.AF_INET, socket.AF_INET6

USER_CHAINS = """
*mangle
:mine - [0:0]
-A PREROUTING -j CONNMARK --restore-mark
-A FORWARD
-A OUTPUT -j mine
-A mine -p udp -m comment --comment "it's \\"mine\\" -j TS-TEST-OUT" -j ACCEPT
COMMIT
*filter
:ufw-before-input - [0:0]
-A INPUT -j ufw-before-input
-A ufw-before-input -i lo -j ACCEPT
-A OUTPUT -p tcp -m tcp --dport 25 -j LOG --log-prefix TS-TEST-OUT
COMMIT
"""
DOCKER = """
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A DOCKER-USER -j RETURN
COMMIT
"""
WIREGUARD = """
*mangle
-A OUTPUT -p udp -m udp --dport 51820 -j MARK --set-mark 0xca6c
-A POSTROUTING -p udp -m mark --mark 0xca6c -j CONNMARK --save-mark
COMMIT
*raw
-A PREROUTING ! -i wg0 -d 10.2.0.2/32 -m addrtype ! --src-type LOCAL -j DROP
COMMIT
"""


class Loaded:
    """Our rules in a place; each step happens in its namespace."""

    def __init__(self, place: PacketPlace, label: str = LABEL, cgroup: str | None = None) -> None:
        self._place = place
        self.netfilter = Netfilter(label, QUEUES, None, cgroup)

    def add(self) -> str:
        with entered(self._place.here):
            self.netfilter.add()
        return self._place.save()

    def remove(self) -> str:
        with entered(self._place.here):
            self.netfilter.remove()
        return self._place.save()

    def is_present(self) -> bool:
        with entered(self._place.here):
            return self.netfilter.is_present()


def rules_of(saved: str) -> set[tuple[int, str]]:
    """Others' rules, with their places."""
    rules = [line for line in saved.splitlines() if line.startswith("-A") and f"{LABEL}-" not in line]
    return set(enumerate(sorted(rules, key=lambda rule: rule.split()[1])))


def load(place: PacketPlace, rules: str) -> None:
    place.run("iptables-restore", "--noflush", text=rules)


# What is added goes again, and nothing else


@pytest.mark.privileged
@pytest.mark.parametrize("others", ["", USER_CHAINS, DOCKER, WIREGUARD, USER_CHAINS + DOCKER + WIREGUARD])
def test_add_and_remove_leave_everything_as_it_was(packet_place: PacketPlace, others: str) -> None:
    load(packet_place, others)
    before, ours = packet_place.save(), Loaded(packet_place)
    added = ours.add()
    assert ours.is_present()
    assert LABEL in added
    assert sorted(rules_of(added) & rules_of(before)) == sorted(rules_of(before))
    assert ours.add() == added
    assert ours.remove() == before
    assert not ours.is_present()


@pytest.mark.privileged
@pytest.mark.parametrize("others", ["", USER_CHAINS])
def test_remove_without_add_touches_nothing(packet_place: PacketPlace, others: str) -> None:
    load(packet_place, others)
    before = packet_place.save()
    assert Loaded(packet_place).remove() == before


@pytest.mark.privileged
def test_another_backend_that_does_not_work_hinders_nothing(
    packet_place: PacketPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_family: Family) -> None:
        raise SnitchError("iptables-legacy-save: table does not exist")

    monkeypatch.setattr(iptables, "find_other_backend", fail)
    before, ours = packet_place.save(), Loaded(packet_place)
    assert LABEL in ours.add()
    assert ours.remove() == before


@pytest.mark.privileged
def test_a_half_made_set_is_removed_or_mended(packet_place: PacketPlace) -> None:
    before, ours = packet_place.save(), Loaded(packet_place)
    whole = ours.add()
    for chain, rule in (("OUTPUT", f"-j {LABEL}-OUT"), ("INPUT", f"-j {LABEL}-IN")):
        packet_place.run("iptables", "-t", "mangle", "-D", chain, *rule.split())
    packet_place.run("iptables", "-t", "mangle", "-F", f"{LABEL}-IN")
    packet_place.run("ip6tables", "-t", "filter", "-F")
    assert sorted(ours.add().splitlines()) == sorted(whole.splitlines())
    packet_place.run("iptables", "-t", "mangle", "-D", "OUTPUT", "-j", f"{LABEL}-OUT")
    packet_place.run("ip6tables", "-t", "mangle", "-F", f"{LABEL}-IN")
    assert ours.remove() == before


@pytest.mark.privileged
def test_a_jump_of_the_user_into_our_chain_goes_with_it(packet_place: PacketPlace) -> None:
    before, ours = packet_place.save(), Loaded(packet_place)
    ours.add()
    packet_place.run("iptables", "-t", "mangle", "-A", "FORWARD", "-g", f"{LABEL}-OUT")
    packet_place.run("iptables", "-t", "mangle", "-A", "OUTPUT", "-j", f"{LABEL}-OUT")
    assert ours.remove() == before


@pytest.mark.privileged
def test_two_instances_do_not_meet_and_the_last_leaves_nothing(packet_place: PacketPlace) -> None:
    before, first, second = packet_place.save(), Loaded(packet_place), Loaded(packet_place, "TS-TEST-2")
    alone = first.add()
    second.add()
    assert second.remove() == alone
    second.add()
    first.remove()
    assert second.remove() == before


@pytest.mark.privileged
def test_a_scope_is_a_cgroup(packet_place: PacketPlace) -> None:
    path = make_cgroup(packet_place.here)
    try:
        before, ours = packet_place.save(), Loaded(packet_place, cgroup=path_in_hierarchy(path))
        added = ours.add()
        assert f"-m cgroup --path {packet_place.here} " in added
        assert ours.add() == added
        assert ours.remove() == before
    finally:
        remove_cgroup(path)


@pytest.mark.privileged
@pytest.mark.parametrize("fails", [("security",), ("mangle",), ("filter",)])
def test_a_table_that_cannot_be_had(
    packet_place: PacketPlace, monkeypatch: pytest.MonkeyPatch, fails: tuple[str, ...]
) -> None:
    """Without the security table its rules are left out; without another one there are no rules at all. (Tables are
    committed one by one.)"""

    def spoiled(*of: Any) -> str:  # noqa: ANN401
        text = render_addition(*of)
        for table in fails:
            text = text.replace(f"*{table}\n", f"*{table}\n-A NOT-THERE -j ACCEPT\n")
        return text

    before, ours = packet_place.save(), Loaded(packet_place)
    monkeypatch.setattr(netfilter_module, "render_addition", spoiled)
    monkeypatch.setattr(iptables, "has_table", lambda _family, table: table not in fails)
    if fails == ("security",):
        added = ours.add()
        assert "*security" not in added
        assert added.count(f"-A OUTPUT -j {LABEL}-OUT") == 2  # once in each family
        assert ours.netfilter.lacks_security()
        assert ours.remove() == before
        return
    with pytest.raises(SnitchError, match="tables-restore"):
        ours.add()
    assert packet_place.save() == before


@pytest.mark.privileged
@pytest.mark.parametrize(("spoils", "stays"), [("icmp6-port", "iptables"), ("icmp-port", "ip6tables")])
def test_putting_back_what_can_be_is_better_than_nothing(
    packet_place: PacketPlace, monkeypatch: pytest.MonkeyPatch, spoils: str, stays: str
) -> None:
    monkeypatch.setattr(netfilter_module, "render_addition", lambda *of: render_addition(*of).replace(spoils, "x"))
    with entered(packet_place.here), pytest.raises(SnitchError, match="tables-restore"):
        Netfilter(LABEL, QUEUES, None).add_again()
    assert f"-A OUTPUT -j {LABEL}-OUT" in packet_place.run(f"{stays}-save", "-t", "mangle")


@pytest.mark.privileged
def test_adding_again_puts_our_jumps_first_and_once(packet_place: PacketPlace) -> None:
    ours = Loaded(packet_place)
    added = ours.add()
    packet_place.run("iptables", "-t", "mangle", "-I", "OUTPUT", "1", "-p", "tcp", "-j", "ACCEPT")
    packet_place.run("iptables", "-t", "mangle", "-A", "OUTPUT", "-j", f"{LABEL}-OUT")
    again = ours.add().splitlines()
    again.remove("-A OUTPUT -p tcp -j ACCEPT")
    assert again == added.splitlines()


@pytest.mark.privileged
def test_what_an_older_build_left_goes(packet_place: PacketPlace) -> None:
    ours = Loaded(packet_place)
    added = ours.add()
    old = f"-N {LABEL}-OLD\n-A {LABEL}-OLD -j {LABEL}-LAST\n-I OUTPUT 1 -p udp -j {LABEL}-OLD\n"
    load(packet_place, f"*mangle\n{old}-A FORWARD ! -p tcp -g {LABEL}-OUT\nCOMMIT\n")
    assert packet_place.save() != added
    assert ours.add() == added


@pytest.mark.privileged
def test_what_cannot_be_renewed_stays(packet_place: PacketPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine of a daemon that was killed does not open when the next one fails to start."""
    ours = Loaded(packet_place)
    added = ours.add()
    monkeypatch.setattr(netfilter_module, "render_addition", lambda *_of: "*mangle\n-A NOT-THERE\nCOMMIT\n")
    with pytest.raises(SnitchError):
        ours.add()
    assert packet_place.save() == added


# What others do, before or behind our rules


def issue(wire: Wire, verdict: Verdict) -> None:
    wire.verdicts.issue(wire.wait_packet().packet_id, verdict)
    wire.verdicts.flush()


def start_connect(wire: Wire, source: str, server: socket.socket) -> socket.socket:
    client = wire.open_socket(source, server.family, socket.SOCK_STREAM)
    client.setblocking(False)
    client.connect_ex(server.getsockname())
    return client


@pytest.mark.privileged
@pytest.mark.parametrize("family", [V4, V6])
def test_a_later_mark_of_the_user_does_not_lose_a_denial(wire: Wire, family: int) -> None:
    program = "iptables" if family == V4 else "ip6tables"
    wire.run(program, "-t", "mangle", "-A", "OUTPUT", "-j", "MARK", "--set-mark", "1")
    server = wire.listener(wire.there, family)
    client = start_connect(wire, wire.here, server)
    issue(wire, Verdict.DENY)
    with pytest.raises(ConnectionRefusedError):
        finish(client)
    client = start_connect(wire, wire.here, server)
    issue(wire, Verdict.ALLOW)
    finish(client)


@pytest.mark.privileged
@pytest.mark.parametrize("family", [V4, V6])
@pytest.mark.parametrize("chain", ["INPUT", "OUTPUT"])
def test_an_accept_before_our_reject_lets_nothing_through(wire: Wire, family: int, chain: str) -> None:
    """Then it is not refused, but dropped behind the filter table."""
    program = "iptables" if family == V4 else "ip6tables"
    wire.run(program, "-I", chain, "1", "-j", "ACCEPT")
    source, destination = (wire.there, wire.here) if chain == "INPUT" else (wire.here, wire.there)
    server = wire.open_socket(destination, family, socket.SOCK_DGRAM, (wire.address(destination, family), 0))
    client = wire.open_socket(source, family, socket.SOCK_DGRAM, (wire.address(source, family), 0))
    client.sendto(b"denied", server.getsockname())
    issue(wire, Verdict.DENY)
    client.sendto(b"allowed", server.getsockname())
    issue(wire, Verdict.ALLOW)
    assert server.recv(10) == b"allowed"


def finish(client: socket.socket) -> None:
    """Wait until the socket is connected; raises the error if it is not."""
    assert select.select([], [client], [], 60)[1]
    number = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, os.strerror(number))


# DNS


def ask(wire: Wire, family: int) -> tuple[socket.socket, socket.socket]:
    """A server, and a client whose question to it was allowed."""
    server = wire.open_socket(wire.there, family, socket.SOCK_DGRAM, (wire.address(wire.there, family), 53))
    client = wire.open_socket(wire.here, family, socket.SOCK_DGRAM)
    client.connect(server.getsockname())
    client.send(b"question")
    issue(wire, Verdict.ALLOW)
    return server, client


def pass_name(wire: Wire, hook: int) -> None:
    (packet,) = wait_packets(wire.names, 1)
    assert packet.hook == hook
    wire.verdicts.pass_message(packet.packet_id)
    wire.verdicts.flush()


def answer(server: socket.socket) -> None:
    question, client = server.recvfrom(100)
    server.sendto(b"to " + question, client)


@pytest.mark.privileged
@pytest.mark.parametrize("family", [V4, V6])
def test_dns_questions_and_answers_are_looked_at(wire: Wire, family: int) -> None:
    server, client = ask(wire, family)
    pass_name(wire, POST_ROUTING)
    answer(server)
    assert is_ready(wire.names, WAIT_S)
    assert not is_ready(client, 0)  # not delivered before it is learned
    pass_name(wire, LOCAL_IN)
    assert client.recv(100) == b"to question"


@pytest.mark.privileged
def test_dns_passes_when_nobody_reads_it_but_unknown_connections_do_not(wire: Wire) -> None:
    wire.names.close()
    server, client = ask(wire, V4)
    answer(server)
    assert client.recv(100) == b"to question"
    wire.connections.close()
    unknown = wire.open_socket(wire.here, V4, socket.SOCK_DGRAM)
    unknown.sendto(b"unknown", server.getsockname())
    client.send(b"known")
    assert server.recv(100) == b"known"


@pytest.mark.privileged
def test_an_answer_without_a_question_is_an_unknown_connection(wire: Wire) -> None:
    remote = wire.open_socket(wire.there, V4, socket.SOCK_DGRAM, (THERE[V4], 53))
    remote.sendto(b"forged", (HERE[V4], 5353))
    assert wire.wait_packet().hook == LOCAL_IN
    assert not is_ready(wire.names, 0)


# What is never held (link packets and DHCP: test_rules.py)


@pytest.mark.privileged
@pytest.mark.parametrize("family", [V4, V6])
def test_an_established_connection_is_never_held(packet_place: PacketPlace, family: int) -> None:
    """A connection from before the rules: with nf_conntrack_tcp_loose its packets count as NEW."""
    server = packet_place.listener(packet_place.there, family)
    client = packet_place.open_socket(packet_place.here, family, socket.SOCK_STREAM)
    client.connect(server.getsockname())
    accepted = server.accept()[0]
    with accepted:
        Loaded(packet_place).add()
        connections = packet_place.queue(QUEUES[0])
        accepted.sendall(b"in")
        assert client.recv(10) == b"in"
        client.sendall(b"out")
        assert accepted.recv(10) == b"out"
        client.close()
        assert accepted.recv(10) == b""
    assert connections.read_packets() == []


@pytest.mark.privileged
def test_neighbour_discovery_is_never_held(wire: Wire) -> None:
    for netns in (wire.here, wire.there):
        wire.run("ip", "-6", "neigh", "flush", "dev", "eth0", netns=netns)
    server = wire.listener(wire.there, V6)
    client = start_connect(wire, wire.here, server)
    issue(wire, Verdict.ALLOW)  # the SYN, and nothing besides
    finish(client)
    assert not wire.has_packet()
    assert "lladdr" in wire.run("ip", "-6", "neigh", "show", THERE[V6])


def has_news(news: NetfilterNews) -> bool:
    return bool(select.select([news], [], [], 0)[0])


@pytest.mark.privileged
def test_each_change_in_our_namespace_is_news_until_it_was_drained() -> None:
    with PacketPlace() as place:
        with entered(place.here):
            news = NetfilterNews()
        try:
            assert not has_news(news)
            place.run("iptables", "-A", "OUTPUT", netns=place.there)
            assert not has_news(news)
            for family in ("iptables", "ip6tables"):
                place.run(family, "-A", "OUTPUT")
                assert has_news(news)
                news.drain()
                assert not has_news(news)
        finally:
            news.close()


@pytest.mark.privileged
@pytest.mark.parametrize(
    "deed",
    [
        f"iptables -t mangle -D OUTPUT -j {LABEL}-OUT",
        f"ip6tables -t mangle -F {LABEL}-JUDGEIN",
        "iptables -t filter -F OUTPUT",
        f"ip6tables -t mangle -D {LABEL}-OUT 1",
    ],
)
def test_it_is_seen_when_something_of_ours_is_missing(deed: str) -> None:
    with PacketPlace() as place, entered(place.here):
        ours = Netfilter(LABEL, QUEUES, None)
        ours.add()
        place.run("iptables", "-t", "mangle", "-I", "OUTPUT", "-p", "99")  # the rules of others are no matter
        assert ours.is_whole()
        place.run(*deed.split())
        assert not ours.is_whole()
        ours.add()
        assert ours.is_whole()


@pytest.mark.privileged
def test_where_others_have_rules_is_told_of_each_program_s_name(packet_place: PacketPlace) -> None:
    with entered(packet_place.here):
        assert has_ipv6()
        Netfilter(LABEL.replace("TEST", "RUN-7"), QUEUES, program_path=None).add()
        assert describe_others() == []
        packet_place.run("ip6tables", "-t", "nat", "-A", "OUTPUT", "-j", "ACCEPT")
        packet_place.run("ebtables-nft", "-A", "FORWARD", "-j", "ACCEPT")
        assert "bridge filter" in list_tables()
        assert describe_others() == [f"{iptables.name_of(Family.V6)} nat 1", "nft bridge filter"]
