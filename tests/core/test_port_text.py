import pytest
from hypothesis import given

from tests.core.rule_strategies import port_sets
from tinysnitch.core.flow import Direction
from tinysnitch.core.port_text import (
    PORT_FORMS,
    PROTOCOL_FORMS,
    Service,
    format_ports,
    format_service,
    general_protocol,
    has_ports,
    merge_ranges,
    parse_ports,
    parse_service,
)
from tinysnitch.core.rule import PortRange
from tinysnitch.core.words import BadWord, split_words


@pytest.mark.parametrize(
    ("text", "ports", "canonical"),
    [
        ("-", (), "-"),
        ("*", (), "-"),
        ("443", ((443, 443),), "443"),
        ("0443", ((443, 443),), "443"),
        ("8000-8100", ((8000, 8100),), "8000-8100"),
        ("443,80", ((80, 80), (443, 443)), "80,443"),
        ("1-65535", ((1, 65535),), "1-65535"),
        ("80,81,82-90,85", ((80, 90),), "80-90"),
    ],
)
def test_ports(text: str, ports: tuple[PortRange, ...], canonical: str) -> None:
    assert parse_ports(split_words(text)[0]) == ports
    assert format_ports(ports) == canonical


@given(port_sets)
def test_merged_ranges_hold_the_same_ports(ranges: list[PortRange]) -> None:
    merged = merge_ranges(ranges)
    assert {p for a, b in merged for p in range(a, b + 1)} == {p for a, b in ranges for p in range(a, b + 1)}
    assert merge_ranges(merged) == merged


@pytest.mark.parametrize(
    ("text", "protocol", "direction", "canonical"),
    [
        ("-", None, Direction.OUTBOUND, "-"),
        ("tcp", 6, Direction.OUTBOUND, "tcp"),
        ("6", 6, Direction.OUTBOUND, "tcp"),
        ("58", 1, Direction.OUTBOUND, "icmp"),
        ("132-src", 132, Direction.INBOUND, "132-src"),
        ("udp-src", 17, Direction.INBOUND, "udp-src"),
        ("-src", None, Direction.INBOUND, "-src"),
    ],
)
def test_service(text: str, protocol: int | None, direction: Direction, canonical: str) -> None:
    service = Service(protocol, direction)
    assert parse_service(split_words(text)[0]) == service
    assert format_service(service) == canonical


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("sctp", "sctp goes by its number: write 132"),
        ("SCTP-src", "sctp goes by its number: write 132-src"),
        ("ipv6-icmp", "write icmp, which is ICMPv6 too"),
        ("tpc", "did you mean 'tcp'?"),
    ],
)
def test_what_is_no_protocol_has_a_hint_that_is_right(text: str, hint: str) -> None:
    with pytest.raises(BadWord, match="not a protocol") as caught:
        parse_service(split_words(text)[0])
    assert caught.value.hint == hint


def test_which_protocols_have_ports() -> None:
    assert [has_ports(number) for number in (None, 6, 17, 1, 132)] == [True, True, True, False, False]
    assert [general_protocol(number) for number in (1, 58, 6)] == [1, 1, 6]


@pytest.mark.parametrize("form", [*PORT_FORMS, *PROTOCOL_FORMS], ids=lambda form: form.spelling)
def test_each_form_takes_its_own_spelling(form: object) -> None:
    assert form.parse(split_words(form.spelling)[0]) is not None  # type: ignore[attr-defined]
