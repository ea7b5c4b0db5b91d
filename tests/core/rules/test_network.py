from ipaddress import IPv4Network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tinysnitch.core.rules.network import Network, format_network, parse_network
from tinysnitch.core.rules.quoting import BadWord, Word
from tinysnitch.core.rules.remote_column import parse_remote
from tinysnitch.core.rules.rule import Remote, RemoteKind


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3/32", "10.1.2.3"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.*.*.*", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("::1", "::1"),
        ("::1/128", "::1"),
        ("2001:db8:0::/48", "2001:db8::/48"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ],
)
def test_a_network_has_one_spelling(text: str, canonical: str) -> None:
    assert format_network(parse_network(text)) == canonical
    assert parse_network(canonical) == parse_network(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("10.0.0.1/8", "did you mean 10.0.0.0/8?"),
        ("2001:db8::1/32", "did you mean 2001:db8::/32?"),
        ("10.1.2", "write 10.1.2.3"),
        ("10.*.1.*", "write 10.1.*.*"),
        ("10.*.*.1", "write 10.1.*.*"),
        ("10.1.*.*/8", "write 10.1.*.*"),
        ("10.0.0.256", "its numbers"),
        ("010.0.0.1", "its numbers"),
        ("10.0.0.0/33", ""),
        ("::/129", ""),
        ("::/x", "write a network"),
        ("1::2::3", "write 2001:db8::1"),
        ("fe80::1%eth0", "write iface="),
    ],
)
def test_parse_network_refuses(text: str, hint: str) -> None:
    with pytest.raises(BadWord) as caught:
        parse_network(text)
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("wide", "narrow", "is_inside"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "10.0.0.0/8", True),
        ("10.1.2.3", "10.0.0.0/8", False),
        ("10.0.0.0/9", "10.0.0.0/8", False),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("0.0.0.0/0", "255.1.2.3", True),
        ("::/0", "2001:db8::1", True),
        ("::/0", "10.0.0.1", False),
        ("0.0.0.0/0", "::1", False),
    ],
)
def test_a_network_contains_its_parts_of_its_own_family(wide: str, narrow: str, is_inside: bool) -> None:
    assert parse_network(wide).contains(parse_network(narrow)) is is_inside


@given(st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){3}(/[0-9]{1,2})?", fullmatch=True))
@example("0.0.0.0")
@example("255.255.255.255")
@example("256.0.0.0")
@example("1.2.3.04")
@example("0.0.0.0/0")
@example("10.1.2.3/32")
@example("10.1.2.3/31")
@example("10.1.2.0/24")
@example("10.0.0.0/08")
@example("10.1.2.0/33")
def test_an_ipv4_network_is_what_the_standard_library_takes_for_one(text: str) -> None:
    """Both by the quick way for usual spellings and by the other one."""
    word = Word(text, 1, True, text)
    try:
        network = IPv4Network(text)
    except ValueError:
        for parse in (lambda: parse_network(text), lambda: parse_remote(word)):
            with pytest.raises(BadWord):
                parse()
        return
    assert parse_network(text) == Network(0xFFFF << 32 | int(network.network_address), 96 + network.prefixlen)
    assert parse_remote(word) == Remote(RemoteKind.NETWORK, str(network).removesuffix("/32"))
