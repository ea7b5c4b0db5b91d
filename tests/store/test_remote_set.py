"""Names by whole labels and addresses by the networks that contain them, in memory and mapped."""

import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.model.domain import is_within
from tinysnitch.core.model.flow import parse_address
from tinysnitch.core.rules.network import Network, parse_network
from tinysnitch.store.remote_set import RemoteSet

NETWORKS = ["192.0.2.7", "198.51.100.0/24", "2001:db8::/32"]
REMOTES = RemoteSet(["ads.example.com", "tracker.example", r"x\046y.test"], map(parse_network, NETWORKS))


@pytest.mark.parametrize(
    ("name", "is_listed"),
    [
        ("ads.example.com", True),
        ("x.ads.example.com", True),
        ("example.com", False),
        ("badads.example.com", False),
        ("ads.example.com.test", False),
        ("tracker.example", True),
        ("example", False),
        (r"x\046y.test", True),
        ("x.y.test", False),
        ("4:0", False),
        ("", False),
    ],
)
def test_a_name_covers_whole_labels_below_it(name: str, is_listed: bool) -> None:
    assert REMOTES.has_name(name) is is_listed


@pytest.mark.parametrize(
    ("address", "is_listed"),
    [
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("198.51.100.200", True),
        ("2001:db8:1::1", True),
        ("2001:db9::1", False),
        ("0.0.0.0", False),
        ("::192.0.2.7", False),
    ],
)
def test_addresses(address: str, is_listed: bool) -> None:
    assert REMOTES.has_address(parse_address(address)) is is_listed


def test_a_network_is_held_when_one_contains_it_whole() -> None:
    assert REMOTES.has_network(parse_network("198.51.100.64/26"))
    assert REMOTES.has_network(parse_network("198.51.100.0/24"))
    assert not REMOTES.has_network(parse_network("198.51.0.0/16"))


def test_the_whole_of_one_family_holds_nothing_of_the_other() -> None:
    v4, v6 = RemoteSet([], [parse_network("0.0.0.0/0")]), RemoteSet([], [parse_network("::/0")])
    one, other = parse_address("10.0.0.1"), parse_address("::1")
    assert (v4.has_address(one), v4.has_address(other)) == (True, False)
    assert (v6.has_address(one), v6.has_address(other)) == (False, True)


def map_again(remotes: RemoteSet) -> RemoteSet:
    with tempfile.TemporaryFile() as file:
        file.write(remotes.to_bytes() + b"what follows does not matter")
        file.flush()
        return RemoteSet.map_file(file.fileno())


names = st.lists(st.sampled_from(["a", "b", "ab", "a-b", "com", r"\046"]), min_size=1, max_size=4).map(".".join)
networks = st.builds(
    lambda bits, prefix: Network(bits >> (128 - prefix) << (128 - prefix), prefix),
    st.integers(0, 7).map(lambda n: n << 120) | st.integers(0, 7).map(lambda n: (0xFFFF << 32) + (n << 29)),
    st.sampled_from([0, 8, 96, 97, 99, 128]),
)


@given(st.lists(names, max_size=6), st.lists(networks, max_size=6), names, networks)
def test_as_looking_at_every_entry_would(
    held_names: list[str], held: list[Network], name: str, network: Network
) -> None:
    remotes = RemoteSet(held_names, held)
    for found in (remotes, map_again(remotes)):
        assert len(found) == len(set(held_names)) + len(set(held))
        assert found.has_name(name) is any(is_within(name, one) for one in held_names)
        assert found.has_network(network) is any(one.contains(network) for one in held)
