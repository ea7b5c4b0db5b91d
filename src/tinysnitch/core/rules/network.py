"""A network: all addresses that share their first bits. One address is the smallest network.

Kept in the 128 bits of flow.py's addresses: IPv4 networks lie in ::ffff:0:0/96. An IPv6 network never
contains an IPv4 address, so that ::/0 is all of IPv6 and nothing else.
"""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address

import msgspec

from tinysnitch.core.model.flow import format_address
from tinysnitch.core.rules.quoting import BadWord

ADDRESS_BITS = 128
_V4_BASE = 0xFFFF << 32
V4_BITS = 96  # the bits before an IPv4 address
_V4_TEXT = re.compile(r"([0-9]{1,3})\.([0-9]{1,3}|\*)\.([0-9]{1,3}|\*)\.([0-9]{1,3}|\*)(?:/([0-9]{1,2}))?")
_NUMBERS = {str(number): number for number in range(256)}


class Network(msgspec.Struct, frozen=True, gc=False):
    base: int  # the bits after the prefix are 0
    prefix: int  # 0 to 128

    @property
    def is_v4(self) -> bool:
        return self.prefix >= V4_BITS and self.base >> 32 == 0xFFFF

    def contains(self, other: "Network") -> bool:
        rest = ADDRESS_BITS - self.prefix
        is_inside = other.prefix >= self.prefix and other.base >> rest == self.base >> rest
        return is_inside and self.is_v4 == other.is_v4


@lru_cache(maxsize=4096)
def parse_network(text: str) -> Network:
    """`10.1.2.3`, `10.0.0.0/8`, `10.1.*.*`, `2001:db8::/32` or `::1`. Raises BadWord."""
    base, prefix = _parse_v6(text) if ":" in text else _parse_plain_v4(text) or _parse_v4(text)
    rest = ADDRESS_BITS - prefix
    network = Network(base >> rest << rest, prefix)
    if network.base != base:
        raise BadWord("the address has bits set behind its prefix", f"did you mean {format_network(network)}?")
    return network


def _parse_plain_v4(text: str) -> tuple[int, int] | None:
    """The quick way for what nearly all are, without a star: 0.9 µs instead of 2.4. None: _parse_v4 looks closer."""
    address, slash, bits = text.partition("/")
    try:
        first, second, third, fourth = map(_NUMBERS.__getitem__, address.split("."))
        prefix = _NUMBERS[bits] if slash else 32
    except (KeyError, ValueError):
        return None
    return (_V4_BASE | first << 24 | second << 16 | third << 8 | fourth, V4_BITS + prefix) if prefix <= 32 else None


def _parse_v4(text: str) -> tuple[int, int]:
    found = _V4_TEXT.fullmatch(text)
    if found is None:
        raise BadWord("not an address", "write 10.1.2.3, 10.0.0.0/8 or 10.1.*.*")
    numbers = [part for part in found.groups()[:4] if part != "*"]
    if "*" in text and not text.endswith(".*" * (4 - len(numbers))):
        raise BadWord("in an address only the last numbers can be *", "write 10.1.*.*, or a network as 10.0.0.0/8")
    if any(int(part) > 255 or (part[0] == "0" and part != "0") for part in numbers):
        raise BadWord("not an address", "its numbers go from 0 to 255, without a 0 in front")
    prefix = int(found[5]) if found[5] else 8 * len(numbers)
    if prefix > 32:
        raise BadWord("an IPv4 prefix has at most 32 bits", "write a network as 10.0.0.0/8")
    packed = bytes(map(int, numbers)).ljust(4, b"\0")
    return _V4_BASE | int.from_bytes(packed), V4_BITS + prefix


def _parse_v6(text: str) -> tuple[int, int]:
    address, slash, prefix = text.partition("/")
    if slash and not re.fullmatch("[0-9]{1,3}", prefix):
        raise BadWord("a prefix is a number", "write a network as 2001:db8::/32")
    try:
        base = int(IPv6Address(address.partition("%")[0]))
    except AddressValueError:
        raise BadWord("not an address", "write 2001:db8::1 or 2001:db8::/32") from None
    if "%" in text:
        raise BadWord("an address in a rule has no zone", "write iface=NAME before the address instead")
    if slash and int(prefix) > ADDRESS_BITS:
        raise BadWord("an IPv6 prefix has at most 128 bits", "write a network as 2001:db8::/32")
    return base, int(prefix) if slash else ADDRESS_BITS


def format_network(network: Network) -> str:
    address = format_address(network.base.to_bytes(16))
    if network.prefix == ADDRESS_BITS:
        return address
    return f"{address}/{network.prefix - V4_BITS if network.is_v4 else network.prefix}"
