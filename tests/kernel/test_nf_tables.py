import errno

import pytest

from tests.kernel.packet_place import PacketPlace, entered
from tinysnitch.core.errors import SnitchError
from tinysnitch.kernel import nf_tables
from tinysnitch.kernel.netfilter_rules import Family
from tinysnitch.kernel.nf_tables import delete_table, read_generation


@pytest.mark.privileged
@pytest.mark.parametrize(("family", "program"), [(Family.V4, "iptables"), (Family.V6, "ip6tables")])
def test_one_table_of_one_family_goes(packet_place: PacketPlace, family: Family, program: str) -> None:
    for command in ("iptables", "ip6tables"):
        for table in ("mangle", "filter"):
            packet_place.run(command, "-t", table, "-A", "OUTPUT", "-j", "ACCEPT")
    with entered(packet_place.here):
        delete_table(family, "mangle", read_generation())
    assert "*mangle" not in packet_place.run(f"{program}-save")
    assert packet_place.save().count("*mangle") == 1
    assert packet_place.save().count("*filter") == 2


def test_no_netlink_is_an_error_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_words: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(nf_tables, "NetlinkSocket", refuse)
    with pytest.raises(SnitchError, match="nf_tables cannot be asked: Too many open files"):
        read_generation()


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
        delete_table(Family.V4, "mangle", generation)
    assert packet_place.save() == before
