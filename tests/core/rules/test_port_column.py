""""""

import pytest
from hypothesis import given

from tests.core.rules.rule_strategies import port_sets
from tinysnitch.core.rules.port_column import find_port, find_service, format_ports, merge_ranges, parse_ports
from tinysnitch.core.rules.quoting import BadWord, split_words
from tinysnitch.core.rules.rule import PortRange


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
        ("1,80-82,81,83,85", ((1, 1), (80, 83), (85, 85)), "1,80-83,85"),
    ],
)
def test_ports_are_written_in_one_spelling(text: str, ports: tuple[PortRange, ...], canonical: str) -> None:
    assert parse_ports(split_words(text)[0]) == ports
    assert format_ports(ports) == canonical


@pytest.mark.parametrize("text", ["0", "65536", "1-65536", "81-80", "-80", "80-", "http", "80,", "\u0668\u0660"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(BadWord):
        parse_ports(split_words(text)[0])


@given(port_sets)
def test_merged_ranges_hold_the_same_ports(ranges: list[PortRange]) -> None:
    merged = merge_ranges(ranges)
    assert {p for a, b in merged for p in range(a, b + 1)} == {p for a, b in ranges for p in range(a, b + 1)}
    assert merge_ranges(merged) == merged


@pytest.mark.parametrize(
    ("port", "service"), [(22, "ssh"), (443, "https"), (5351, "nat-pmp"), (6697, "ircs"), (40000, None)]
)
def test_services_of_ports(port: int, service: str | None) -> None:
    assert find_service(port) == service
    assert service is None or find_port(service) == port
