"""How the protocol column is spelled, which also says the direction."""

import re

import msgspec

from tinysnitch.core.model.flow import ICMP, ICMPV6, TCP, UDP, Direction, format_protocol
from tinysnitch.core.rules.quoting import BadWord, Form, Word, parser_of, unknown_word


class Service(msgspec.Struct, frozen=True, gc=False):
    """The value of the protocol column."""

    protocol: int | None  # None is any; ICMP stands for ICMPv6 too
    direction: Direction


_INBOUND = "-src"
_NUMBER = re.compile("[0-9]{1,3}")
_PROTOCOLS = {"-": None, "tcp": TCP, "udp": UDP, "icmp": ICMP}
# Names of /etc/protocols that are no words here. For these the nearest word would be a wrong hint.
_NAMED_ELSEWHERE = {
    **dict.fromkeys(("icmpv6", "icmp6", "ipv6-icmp"), ICMP),
    **{"igmp": 2, "ipip": 4, "dccp": 33, "gre": 47, "esp": 50, "ah": 51, "ospf": 89, "pim": 103, "vrrp": 112},
    **{"l2tp": 115, "sctp": 132, "udplite": 136},
}
_SERVICES = {word: Service(protocol, Direction.OUTBOUND) for word, protocol in _PROTOCOLS.items()} | {
    word.removeprefix("-") + _INBOUND: Service(protocol, Direction.INBOUND) for word, protocol in _PROTOCOLS.items()
}


def _parse_named(word: Word) -> Service | None:
    return _SERVICES.get(word.text)


def _parse_number(word: Word) -> Service | None:
    text = word.text.removesuffix(_INBOUND)
    if not (_NUMBER.fullmatch(text) and int(text) <= 255):
        return None
    return Service(general_protocol(int(text)), Direction.OUTBOUND if text == word.text else Direction.INBOUND)


def general_protocol(number: int) -> int:
    """The protocol number that rules have: ICMP stands for ICMPv6 too."""
    return ICMP if number == ICMPV6 else number


def has_ports(protocol: int | None) -> bool:
    """Whether a rule for the protocol may name ports. None is any protocol; Flow.port is 0 for those without ports."""
    return protocol in (None, TCP, UDP)


PROTOCOL_FORMS = (
    Form("-", "any protocol, outbound", _parse_named, is_word=True),
    Form("tcp", "TCP", _parse_named, is_word=True),
    Form("udp", "UDP", _parse_named, is_word=True),
    Form("icmp", "ICMP and ICMPv6", _parse_named, is_word=True),
    Form("132", "an IP protocol by its number", _parse_number),
    Form(
        "tcp-src",
        "TCP, inbound: the remote is the source. Likewise all others: `udp-src`, `132-src`",
        _parse_named,
        is_word=True,
    ),
    Form("-src", "any protocol, inbound", _parse_named, is_word=True),
)
_parse_protocol_forms = parser_of(PROTOCOL_FORMS)


def parse_service(word: Word) -> Service:
    """Raises BadWord."""
    service = _parse_protocol_forms(word)
    if service is None:
        raise _unknown_protocol(word.text)
    return service


def _unknown_protocol(text: str) -> BadWord:
    if "," in text or "/" in text:
        return BadWord("not a single protocol", "write a rule for each, or - for any")
    name = text.lower().removesuffix(_INBOUND)
    meant = _NAMED_ELSEWHERE.get(name)
    if meant is None:
        return unknown_word("not a protocol", text, _SERVICES)
    direction = _INBOUND if text.lower() != name else ""
    if meant == ICMP:
        return BadWord("not a protocol", f"write icmp{direction}, which is ICMPv6 too")
    return BadWord("not a protocol", f"{name} goes by its number: write {meant}{direction}")


def format_service(service: Service) -> str:
    protocol = "" if service.protocol is None else format_protocol(service.protocol)
    return protocol + (_INBOUND if service.direction is Direction.INBOUND else "") or "-"
