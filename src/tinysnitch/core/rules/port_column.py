"""The port column: how it is spelled; and the names of well-known ports, which are for people only."""

import re
from collections.abc import Iterable
from functools import lru_cache

from tinysnitch.core.rules.quoting import BadWord, Form, Word, parser_of
from tinysnitch.core.rules.rule import PortRange

LAST_PORT = 65535
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_PORT_HINT = f"write -, 443, 8000-8100 or 80,443; ports go from 1 to {LAST_PORT}"
ANY_PORT: tuple[PortRange, ...] = ()
_LONGEST_KEPT = 64  # characters


def _parse_any_port(word: Word) -> tuple[PortRange, ...] | None:
    return ANY_PORT if word.text in ("-", "*") else None


def _parse_ranges(word: Word) -> tuple[PortRange, ...]:
    """Long texts are not kept: clients send them, and each takes up to 1.4 MB."""
    return _kept_ranges(word.text) if len(word.text) <= _LONGEST_KEPT else _ranges_of(word.text)


def _ranges_of(text: str) -> tuple[PortRange, ...]:
    return merge_ranges([_parse_range(part) for part in text.split(",")])


_kept_ranges = lru_cache(maxsize=4096)(_ranges_of)


def _parse_range(text: str) -> PortRange:
    found = _RANGE.fullmatch(text)
    if found is None:
        port = find_port(text.lower())  # the name of a service, which questions show beside the port
        raise BadWord("not a port", f"did you mean {port}?" if port else _PORT_HINT)
    first, last = int(found[1]), int(found[2] or found[1])
    if first > last:
        raise BadWord("the range ends before it begins", f"did you mean {last}-{first}?")
    if not 0 < first <= last <= LAST_PORT:
        raise BadWord("not a port", _PORT_HINT)
    return first, last


def merge_ranges(ranges: Iterable[PortRange]) -> tuple[PortRange, ...]:
    """The same ports as sorted ranges that neither overlap nor touch: equal sets of ports are equal values."""
    merged: list[PortRange] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


PORT_FORMS = (
    Form("-", "any port; the only choice for a protocol without ports", _parse_any_port, is_word=True),
    Form("443", "this port: the remote's, or the local one where the rule is inbound", _parse_ranges),
    Form("8000-8100", "from the first to the last", _parse_ranges),
    Form("80,443", "any of these, ranges among them", _parse_ranges),
)
_parse_port_forms = parser_of(PORT_FORMS)


def parse_ports(word: Word) -> tuple[PortRange, ...]:
    """Raises BadWord."""
    ports = _parse_port_forms(word)
    return ANY_PORT if ports is None else ports


def format_ports(ports: tuple[PortRange, ...]) -> str:
    return ",".join([str(first) if first == last else f"{first}-{last}" for first, last in ports]) or "-"


# As the Service Name and Transport Protocol Port Number Registry of IANA has them.
SERVICES = {
    20: "ftp-data",
    21: "ftp",
    22: "ssh",
    23: "telnet",
    25: "smtp",
    53: "domain",
    67: "dhcp",
    68: "dhcp",
    80: "http",
    110: "pop3",
    111: "sunrpc",
    123: "ntp",
    137: "netbios-ns",
    139: "netbios-ssn",
    143: "imap",
    161: "snmp",
    389: "ldap",
    443: "https",
    445: "smb",
    465: "smtps",
    514: "syslog",
    554: "rtsp",
    587: "submission",
    631: "ipp",
    636: "ldaps",
    853: "dns over tls",
    873: "rsync",
    993: "imaps",
    995: "pop3s",
    1194: "openvpn",
    1900: "ssdp",
    2049: "nfs",
    3306: "mysql",
    3389: "rdp",
    3478: "stun",
    3702: "ws-discovery",
    5222: "xmpp",
    5351: "nat-pmp",
    5353: "mdns",
    5355: "llmnr",
    5432: "postgresql",
    5900: "vnc",
    6379: "redis",
    6667: "irc",
    6697: "ircs",
    8080: "http-alt",
    8443: "https-alt",
    9418: "git",
    51820: "wireguard",
}
_PORTS = {name: port for port, name in reversed(SERVICES.items())}  # of the two ports of dhcp the server's


def find_service(port: int) -> str | None:
    """The service that is usually at a port; programs need not keep to it."""
    return SERVICES.get(port)


def find_port(service: str) -> int | None:
    return _PORTS.get(service)
