import pytest

from tinysnitch.core.network import format_network, parse_network
from tinysnitch.core.words import BadWord


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
