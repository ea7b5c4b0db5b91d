import errno

import pytest

from tests.bpf.packet_place import LABEL, QUEUES, PacketPlace, entered
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.netfilter import firewall as netfilter
from tinysnitch.kernel.netfilter import iptables, nf_tables
from tinysnitch.kernel.netfilter.firewall import Netfilter
from tinysnitch.kernel.netfilter.nf_tables import (
    delete_chain,
    delete_rule,
    delete_table,
    list_chains,
    list_rules,
    read_generation,
)
from tinysnitch.kernel.netfilter.rules import Family


@pytest.mark.privileged
@pytest.mark.parametrize(("family", "program"), [(Family.V4, "iptables"), (Family.V6, "ip6tables")])
def test_one_table_of_one_family_goes(packet_place: PacketPlace, family: Family, program: str) -> None:
    for command in ("iptables", "ip6tables"):
        for table in ("mangle", "filter"):
            packet_place.run(command, "-t", table, "-A", "OUTPUT", "-j", "ACCEPT")
    with entered(packet_place.here):
        assert delete_table(family, "mangle", read_generation())
    assert "*mangle" not in packet_place.run(f"{program}-save")
    assert packet_place.save().count("*mangle") == 1
    assert packet_place.save().count("*filter") == 2


def test_no_netlink_is_an_error_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_words: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(nf_tables, "NetlinkSocket", refuse)
    with pytest.raises(SnitchError, match="nf_tables cannot be asked: Too many open files"):
        read_generation()
    with pytest.raises(SnitchError, match="nf_tables cannot be asked: Too many open files"):
        list_chains(Family.V4, "mangle")


@pytest.mark.privileged
def test_where_rules_are_and_lead_to(packet_place: PacketPlace) -> None:
    packet_place.run("iptables", "-t", "mangle", "-N", "mine")
    packet_place.run("iptables", "-N", "other")
    for rule in ("-p udp -j mine", "-p udp -m udp --dport 9 -g mine", "-j ACCEPT", "-p tcp", "-j MARK --set-mark 1"):
        packet_place.run("iptables", "-t", "mangle", "-A", "OUTPUT", *rule.split())
    with entered(packet_place.here):
        found = list_rules(Family.V4, "mangle")
        assert [(rule.chain, rule.target) for rule in found] == [
            ("OUTPUT", name) for name in ("mine", "mine", "", "", "")
        ]
        assert set(list_chains(Family.V4, "mangle")) == {"OUTPUT", "mine"}
        assert list_rules(Family.V6, "mangle") == list_chains(Family.V6, "mangle") == []
        for _twice in range(2):
            delete_rule(Family.V4, "mangle", "OUTPUT", found[1].handle)
        assert list_rules(Family.V4, "mangle") == [*found[:1], *found[2:]]


def chains_of(family: Family) -> dict[str, set[str]]:
    return {table: set(list_chains(family, table)) for table in ("filter", "mangle", "security")}


@pytest.mark.privileged
@pytest.mark.parametrize("family", list(Family))
def test_built_in_chains_that_came_with_us_go(packet_place: PacketPlace, family: Family) -> None:
    """As Docker's rules: in tables that have a chain FORWARD alone."""
    program = {Family.V4: "iptables", Family.V6: "ip6tables"}[family]
    packet_place.run(program, "-A", "FORWARD", "-j", "ACCEPT")
    packet_place.run(program, "-t", "mangle", "-A", "INPUT", "-j", "ACCEPT")
    with entered(packet_place.here):
        before = chains_of(family)
        first, second = (Netfilter(label, QUEUES, None) for label in (LABEL, f"{LABEL}2"))
        first.add()
        second.add()
        first.remove()
        assert second.is_whole()
        second.remove()
        assert chains_of(family) == before
        first.add()
        packet_place.run(program, "-A", "OUTPUT", "-p", "udp", "-j", "ACCEPT")
        packet_place.run(program, "-P", "INPUT", "DROP")
        first.remove()
        assert chains_of(family) == {**before, "filter": {"FORWARD", "OUTPUT", "INPUT"}}


@pytest.mark.privileged
def test_chains_that_others_emptied_are_removed_also_by_another_process(packet_place: PacketPlace) -> None:
    """With the rules they took away what said which tables were there before."""
    with entered(packet_place.here):
        Netfilter(LABEL, QUEUES, None).add()
        for program in ("iptables", "ip6tables"):
            for table in ("security", "mangle", "filter"):
                packet_place.run(program, "-t", table, "-F")
        Netfilter(LABEL, QUEUES, None).remove()
    assert LABEL not in packet_place.save()


@pytest.mark.privileged
def test_an_empty_chain_that_was_there_stays(packet_place: PacketPlace) -> None:
    """Whoever adds to it with nft needs it: nft makes none by itself."""
    for change in ("-A", "-D"):
        packet_place.run("iptables", change, "OUTPUT", "-j", "ACCEPT")
    with entered(packet_place.here):
        ours = Netfilter(LABEL, QUEUES, None)
        ours.add()
        ours.remove()
        assert list_chains(Family.V4, "filter") == ["OUTPUT"]


@pytest.mark.privileged
@pytest.mark.parametrize(
    ("added", "saved"),
    [
        ("-A FORWARD -i eth9 -j ACCEPT", "-A FORWARD -i eth9 -j ACCEPT"),
        ("-A OUTPUT -j ACCEPT", "-A OUTPUT -j ACCEPT"),
        ("-P FORWARD DROP", ":FORWARD DROP"),
        ("-N mine", ":mine -"),
    ],
)
def test_what_others_put_into_a_table_that_came_with_us_stays(
    packet_place: PacketPlace, added: str, saved: str
) -> None:
    assert packet_place.save() == ""
    with entered(packet_place.here):
        ours = Netfilter(LABEL, QUEUES, None)
        ours.add()
        packet_place.run("iptables", "-t", "mangle", *added.split())
        ours.remove()
    left = packet_place.save()
    assert LABEL not in left
    assert f"\n{saved}" in left.partition("*mangle")[2]


@pytest.mark.privileged
def test_a_chain_that_others_use_by_now_stays(packet_place: PacketPlace) -> None:
    packet_place.run("iptables", "-A", "OUTPUT", "-j", "ACCEPT")
    with entered(packet_place.here):
        stale = read_generation() - 1
        assert delete_chain(Family.V4, "filter", "OUTPUT", read_generation())  # it was refused: there is a rule in it
        packet_place.run("iptables", "-F", "OUTPUT")
        assert not delete_chain(Family.V4, "filter", "OUTPUT", stale)
        assert list_chains(Family.V4, "filter") == ["OUTPUT"]
        assert delete_chain(Family.V4, "filter", "OUTPUT", read_generation())
        assert list_chains(Family.V4, "filter") == []


@pytest.mark.privileged
def test_a_table_that_is_not_there_is_fine(packet_place: PacketPlace) -> None:
    with entered(packet_place.here):
        delete_table(Family.V4, "mangle", read_generation())
    assert packet_place.save() == ""


@pytest.mark.privileged
def test_a_table_that_someone_uses_meanwhile_stays(packet_place: PacketPlace) -> None:
    packet_place.run("iptables", "-t", "mangle", "-N", "empty")
    with entered(packet_place.here):
        generation = read_generation()
    packet_place.run("iptables", "-t", "mangle", "-A", "OUTPUT", "-j", "ACCEPT")
    before = packet_place.save()
    with entered(packet_place.here):
        assert not delete_table(Family.V4, "mangle", generation)
    assert packet_place.save() == before


class Disturbed:
    """Another tinysnitchd changes its rules just before we would delete a table, so many times."""

    def __init__(self, place: PacketPlace, times: int) -> None:
        self._place = place
        self._left = times

    def __call__(self) -> int:
        generation = read_generation()
        if self._left:
            self._left -= 1
            self._place.run("iptables", "-t", "raw", "-A", "OUTPUT", "-j", "ACCEPT")
        return generation


@pytest.mark.privileged
def test_who_changes_rules_of_others_meanwhile_leaves_our_tables_to_us(
    packet_place: PacketPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(netfilter, "read_generation", Disturbed(packet_place, 4))
    with entered(packet_place.here):
        ours = Netfilter(LABEL, QUEUES, None)
        ours.add()
        ours.remove()
    left = packet_place.save()
    assert [table for table in ("mangle", "filter", "security") if f"*{table}" in left] == []
    assert left.count("-A OUTPUT -j ACCEPT") == 4


@pytest.mark.privileged
def test_who_starts_while_another_one_of_us_ends_leaves_no_tables(
    packet_place: PacketPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At no moment are tables of ours there without our remark: another daemon would take them for the machine's."""
    seen: list[str] = []

    def look(family: Family, name: str, generation: int) -> bool:
        seen.append(iptables.save(family))
        return delete_table(family, name, generation)

    monkeypatch.setattr(netfilter, "delete_table", look)
    with entered(packet_place.here):
        ours = Netfilter(LABEL, QUEUES, None)
        ours.add()
        ours.remove()
    tables = [table for saved in seen for table in saved.split("COMMIT\n") if "*" in table]
    assert tables
    assert all("tables before: " in table for table in tables)
