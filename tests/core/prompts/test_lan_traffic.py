import msgspec
import pytest

from tests.core.engine.transcript import FACTS as WITH_RESOLVER
from tests.core.engine.transcript import Transcript, whose, yes
from tinysnitch.core.engine.events import FactsChanged
from tinysnitch.core.model.connection import Connection, NameSource
from tinysnitch.core.model.flow import ICMP, TCP, UDP, Direction, Flow, parse_address
from tinysnitch.core.policy.facts import Facts, RemoteWords
from tinysnitch.core.prompts.choice import RemoteScope
from tinysnitch.core.prompts.lan_traffic import is_from_lan, is_lan_traffic
from tinysnitch.core.rules.network import parse_network

FACTS = Facts(
    own_addresses=frozenset(map(parse_address, ("10.0.0.2", "fe80::2"))),
    lan=tuple(
        map(parse_network, ("0.0.0.0/32", "10.0.0.0/24", "224.0.0.0/4", "255.255.255.255/32", "fe80::/10", "ff00::/8"))
    ),
)
PHONE, PRINTER, PRINTER6, ELSEWHERE = "10.0.0.5", "10.0.0.6", "fe80::6", "198.51.100.7"
GROUP, GROUP6 = "224.0.0.251", "ff02::fb"
MDNS = 5353


def inbound(to: str, remote: str, protocol: int = UDP, port: int = MDNS) -> Flow:
    return Flow(protocol, Direction.INBOUND, parse_address(to), port, parse_address(remote), MDNS)


def outbound(remote: str, port: int = MDNS, protocol: int = UDP) -> Flow:
    return Flow(protocol, Direction.OUTBOUND, parse_address("10.0.0.2"), port, parse_address(remote), MDNS)


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        (inbound(GROUP, PHONE), True),
        (inbound(GROUP6, PRINTER6), True),
        (inbound("255.255.255.255", PHONE), True),
        (inbound("10.0.0.255", PHONE), True),
        (inbound("10.0.0.255", PHONE, ICMP), True),
        (inbound("10.0.0.2", PHONE), False),
        (inbound("10.0.0.2", PHONE, port=40000), True),  # what answers a program that asked all of the link (SSDP)
        (inbound("10.0.0.2", PHONE, TCP, port=40000), False),
        (inbound("10.0.0.2", ELSEWHERE, port=40000), False),
        (inbound("fe80::2", PRINTER6), False),
        (inbound("127.0.0.1", PHONE), False),
        (inbound(ELSEWHERE, PHONE, TCP), False),  # by a proxy (TPROXY)
        (inbound(GROUP, ELSEWHERE), False),
        (inbound("255.255.255.255", "0.0.0.0", port=67), True),  # who has no address yet (DHCP)
        (inbound("10.0.0.2", PHONE, port=67), True),  # who renews it
        (inbound("10.0.0.2", PHONE, port=53), True),
        (inbound("10.0.0.2", PHONE, TCP, port=53), True),
        (inbound("fe80::2", PRINTER6, port=53), True),
        (inbound("10.0.0.2", PHONE, port=5355), True),
        (inbound("fe80::2", PRINTER6, TCP, port=5355), True),
        (inbound("10.0.0.2", ELSEWHERE, port=5355), False),
        (inbound("10.0.0.2", ELSEWHERE, TCP, port=53), False),
        (inbound("10.0.0.2", "10.0.0.2", port=53), False),  # a program of this machine
        (inbound("fe80::2", "fe80::2", TCP, port=53), False),
        (inbound("10.0.0.2", PHONE, TCP, port=80), False),
        (outbound(PHONE), True),
        (outbound(GROUP), True),
        (outbound(PHONE, port=40000), False),
        (outbound("10.0.0.255", port=40000), True),  # another address in the next network
        (outbound("255.255.255.255", port=40000), False),
        (outbound(GROUP, port=40000), False),
        (outbound("10.0.0.255", port=40000, protocol=TCP), False),
        (outbound(PHONE, protocol=TCP), False),
        (outbound("10.0.0.2"), False),
        (outbound(ELSEWHERE), False),
    ],
)
def test_what_each_machine_of_the_link_may_say_or_be_told(flow: Flow, expected: bool) -> None:
    asked = Connection(flow=flow, attribution=whose())
    assert is_lan_traffic(asked, RemoteWords(FACTS)) is expected


@pytest.mark.parametrize(
    ("flow", "source", "expected"),
    [
        (outbound(PHONE), NameSource.DNS, False),
        (outbound(PHONE), NameSource.MDNS, True),
        (inbound(GROUP, PHONE), NameSource.DNS, True),
    ],
)
def test_a_remote_that_was_looked_up_is_meant(flow: Flow, source: NameSource, expected: bool) -> None:
    asked = Connection(flow=flow, attribution=whose(), name="ntp.test", name_source=source)
    assert is_lan_traffic(asked, RemoteWords(FACTS)) is expected


@pytest.mark.parametrize(
    ("program", "flow", "expected"),
    [
        ("/usr/sbin/dnsmasq", outbound(PHONE, protocol=ICMP), True),
        ("/opt/isc/dhcpd", outbound(PHONE, protocol=ICMP), True),
        ("/usr/bin/ping", outbound(PHONE, protocol=ICMP), False),
        ("/usr/sbin/dnsmasq", outbound(ELSEWHERE, protocol=ICMP), False),
        ("/usr/sbin/dnsmasq", outbound("10.0.0.2", protocol=ICMP), False),
        ("/usr/sbin/dnsmasq", outbound(PHONE, protocol=TCP), False),
        ("/usr/sbin/dnsmasq", inbound("10.0.0.2", PHONE, ICMP), False),
    ],
)
def test_a_dhcp_server_asks_each_address_whether_it_is_taken(program: str, flow: Flow, expected: bool) -> None:
    asked = Connection(flow=flow, attribution=whose(program=program))
    assert is_lan_traffic(asked, RemoteWords(FACTS)) is expected


@pytest.mark.parametrize(
    ("program", "remote", "expected"),
    [
        ("/usr/sbin/docker-proxy", PHONE, True),
        ("/usr/sbin/docker-proxy", ELSEWHERE, False),
        ("/usr/sbin/docker-proxy", "10.0.0.2", False),
        ("/usr/bin/curl", PHONE, False),
    ],
)
def test_a_published_port_leads_to_a_container_whose_address_will_be_anothers(
    program: str, remote: str, expected: bool
) -> None:
    asked = Connection(flow=outbound(remote, protocol=TCP), attribution=whose(program=program))
    assert is_lan_traffic(asked, RemoteWords(FACTS)) is expected


def test_one_answer_is_for_all_machines_of_the_link() -> None:
    engine = Transcript()
    engine.feed(FactsChanged(FACTS))
    for remote in (PHONE, PRINTER):
        engine.queue(inbound(GROUP, remote))
    engine.answer(1, msgspec.structs.replace(yes(), remote=RemoteScope.DOMAIN))
    assert engine.engine.open_prompts(engine.now) == []
    assert not [line for line in engine.queue(inbound(GROUP6, PRINTER6)) if line.startswith("opened")]
    assert [line for line in engine.queue(inbound("10.0.0.2", ELSEWHERE)) if line.startswith("opened")]


def test_beside_a_rule_that_asks_each_machine_is_one_of_its_own() -> None:
    """An answer for the whole lan would be wider than the rule that asks, which would then ask again."""
    engine = Transcript(f"ask {PHONE} - -src")
    engine.feed(FactsChanged(FACTS))
    engine.queue(inbound(GROUP, PHONE))
    (prompt,) = engine.engine.open_prompts(engine.now)
    assert not prompt.connection.is_lan_traffic


@pytest.mark.parametrize(
    ("flow", "name", "expected"),
    [
        (inbound("10.0.0.2", PHONE, TCP, port=5432), None, True),  # of a container, say
        (inbound("10.0.0.2", PHONE, port=5432), None, True),
        (inbound("10.0.0.2", PHONE, ICMP), None, True),
        (inbound("10.0.0.2", PHONE, TCP, port=5432), "phone.local", False),  # its domain is that of its name
        (inbound("10.0.0.2", ELSEWHERE, TCP, port=5432), None, False),
        (inbound("10.0.0.2", "10.0.0.2", TCP, port=5432), None, False),
        (inbound("fe80::2", "fe80::2", TCP, port=5432), None, False),
        (outbound(PHONE, 5432, TCP), None, False),
    ],
)
def test_what_comes_in_from_the_lan(flow: Flow, name: str | None, expected: bool) -> None:
    asked = Connection(flow=flow, attribution=whose(program="/usr/bin/postgres"), name=name)
    assert is_from_lan(asked, RemoteWords(FACTS)) is expected


@pytest.mark.parametrize("name", ["phone.shop.test", "shop.co.uk"])
def test_a_remote_of_the_lan_whose_name_others_looked_up_may_have_the_lan_for_a_domain(name: str) -> None:
    """The name ends within minutes, and with a rule for its domain people would be asked again."""
    engine, server = Transcript(), whose(8, "/usr/bin/postgres")
    engine.feed(FactsChanged(msgspec.structs.replace(FACTS, resolvers=WITH_RESOLVER.resolvers)))
    engine.resolve(name, PHONE)
    engine.queue(inbound("10.0.0.2", PHONE, TCP, port=5432), server)
    told = engine.answer(1, msgspec.structs.replace(yes(), remote=RemoteScope.DOMAIN))
    assert "write allow lan 5432 tcp-src /usr/bin/postgres ()" in told
