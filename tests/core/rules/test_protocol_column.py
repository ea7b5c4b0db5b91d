import pytest

from tinysnitch.core.model.flow import Direction
from tinysnitch.core.rules.protocol_column import (
    Service,
    format_service,
    general_protocol,
    has_ports,
    parse_service,
)
from tinysnitch.core.rules.quoting import BadWord, split_words


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
def test_each_service_has_one_spelling(text: str, protocol: int | None, direction: Direction, canonical: str) -> None:
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
