import pytest

from tinysnitch.core.model.flow import parse_address
from tinysnitch.core.policy.facts import Facts, RemoteWords
from tinysnitch.core.rules.network import parse_network
from tinysnitch.core.rules.rule import Remote, RemoteKind
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.store.remote_set import RemoteSet

FACTS = Facts(
    own_addresses=frozenset(map(parse_address, ("192.0.2.9", "fe80::9"))),
    lan=(parse_network("192.0.2.0/24"), parse_network("fe80::/10")),
    resolvers=frozenset({parse_address("192.0.2.53")}),
    lists={"ads": RemoteSet(["ads.test"], [parse_network("198.51.100.0/24")]), "resolvers": RemoteSet(["x.test"])},
)
LOCALHOST, LAN = Remote(RemoteKind.LOCALHOST), Remote(RemoteKind.LAN)
ADS, RESOLVERS, NONE = (Remote(RemoteKind.LIST, name) for name in ("ads", "resolvers", "none"))


@pytest.mark.parametrize(
    ("word", "address", "name", "is_taken"),
    [
        (LOCALHOST, "127.255.0.1", None, True),
        (LOCALHOST, "::1", None, True),
        (LOCALHOST, "192.0.2.9", None, True),
        (LOCALHOST, "192.0.2.8", "localhost", False),
        (LAN, "192.0.2.8", None, True),
        (LAN, "fe80::1", None, True),
        (LAN, "198.51.100.1", None, False),
        (ADS, "203.0.113.1", "a.ads.test", True),
        (ADS, "203.0.113.1", "bads.test", False),
        (ADS, "198.51.100.1", None, True),
        (ADS, "203.0.113.1", None, False),
        (RESOLVERS, "192.0.2.53", None, True),
        (RESOLVERS, "203.0.113.1", "x.test", False),
        (NONE, "192.0.2.53", "x.test", False),
    ],
)
def test_a_word_takes_in_these_remotes(word: Remote, address: str, name: str | None, is_taken: bool) -> None:
    assert RemoteWords(FACTS).takes(word, parse_address(address), name) is is_taken


@pytest.mark.parametrize(
    ("network", "address", "means_all"),
    [
        ("192.0.2.0/24", "192.0.2.255", True),
        ("192.0.2.0/23", "192.0.3.255", True),
        ("192.0.2.0/23", "192.0.2.255", False),
        ("192.0.2.0/30", "192.0.2.3", True),
        ("192.0.2.0/31", "192.0.2.1", False),
        ("192.0.2.9/32", "192.0.2.9", False),
        ("2001:db8::/64", "2001:db8::ffff:ffff:ffff:ffff", False),
    ],
)
def test_the_last_address_of_a_network_means_all_of_it(network: str, address: str, means_all: bool) -> None:
    facts = Facts(lan=(parse_network(network),))
    assert RemoteWords(facts).is_broadcast(parse_address(address)) is means_all


@pytest.mark.parametrize(("address", "is_outbound", "is_taken"), [("fe80::9", True, False), ("fe80::9", False, True)])
def test_what_is_sent_to_an_address_of_the_link_may_be_for_another_machine(
    address: str, is_outbound: bool, is_taken: bool
) -> None:
    assert RemoteWords(FACTS).takes(LOCALHOST, parse_address(address), None, is_outbound=is_outbound) is is_taken


@pytest.mark.parametrize(
    ("word", "remote", "is_covered"),
    [
        (LOCALHOST, "127.0.0.0/16", True),
        (LOCALHOST, "127.0.0.0/8", True),
        (LOCALHOST, "126.0.0.0/7", False),
        (LOCALHOST, "192.0.2.9", True),
        (LOCALHOST, "192.0.2.8/31", False),
        (LOCALHOST, "'localhost'", False),
        (LAN, "192.0.2.128/25", True),
        (LAN, "192.0.0.0/16", False),
        (LAN, "192.0.2.0/23", False),
        (ADS, "*.a.ads.test", True),
        (ADS, "ads.test", True),
        (ADS, "*.test", False),
        (ADS, "198.51.100.0/25", True),
        (ADS, "198.51.0.0/16", False),
        (ADS, "@ads", False),
        (ADS, "@ads.test", False),
        (ADS, "-", False),
        (RESOLVERS, "192.0.2.53", True),
        (RESOLVERS, "x.test", False),
        (NONE, "x.test", False),
    ],
)
def test_a_word_covers_what_lies_whole_in_it(word: Remote, remote: str, is_covered: bool) -> None:
    assert RemoteWords(FACTS).covers(word, parse_rule(f"allow {remote} - -").remote) is is_covered
