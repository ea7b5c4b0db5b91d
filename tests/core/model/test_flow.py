"""Addresses in and out of their one packed spelling, and the port that rules speak of."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.engine.transcript import flow_of, inbound
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import (
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    format_address,
    format_protocol,
    is_of_link,
    is_v4,
    parse_address,
)


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_rules_test_the_port_of_the_side_that_is_called(protocol: int) -> None:
    assert flow_of(40000, port=443, protocol=protocol).port == 443
    assert inbound(50000, port=22, protocol=protocol).port == 22


def test_an_echo_has_no_port() -> None:
    assert flow_of(local_port=77, port=0, protocol=ICMP).port == 0
    assert inbound(port=77, protocol=ICMPV6).port == 0


@pytest.mark.parametrize(("number", "text"), [(6, "tcp"), (17, "udp"), (1, "icmp"), (58, "icmp"), (132, "132")])
def test_protocols(number: int, text: str) -> None:
    assert format_protocol(number) == text


@given(st.integers(0, 2**32 - 1))
def test_ipv4_there_and_back(number: int) -> None:
    packed = parse_address(str(IPv4Address(number)))
    assert is_v4(packed)
    assert len(packed) == 16
    assert format_address(packed) == str(IPv4Address(number))


@given(st.integers(0, 2**128 - 1))
def test_ipv6_there_and_back(number: int) -> None:
    packed = IPv6Address(number).packed
    assert parse_address(format_address(packed)) == packed


def test_a_mapped_address_is_the_ipv4_one() -> None:
    assert parse_address("::ffff:10.0.0.1") == parse_address("10.0.0.1")
    assert format_address(parse_address("::ffff:10.0.0.1")) == "10.0.0.1"
    assert not is_v4(parse_address("::1"))


@pytest.mark.parametrize("text", ["", "10.0.0", "shop.test", "10.0.0.1/8", "fe80::1%eth0", "\udcff"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(Malformed):
        parse_address(text)


@pytest.mark.parametrize(
    ("address", "is_so"),
    [("fe80::1", True), ("febf::1", True), ("fec0::1", False), ("fd80::1", False), ("254.128.0.1", False)],
)
def test_addresses_of_the_link(address: str, is_so: bool) -> None:
    assert is_of_link(parse_address(address)) is is_so
