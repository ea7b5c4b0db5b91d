"""ufw's own record of its rules, in /etc/ufw/user.rules and user6.rules: a comment before the lines for iptables.

The format is `_read_rules` and `_write_rules` in src/backend_iptables.py of ufw (0.36):

    ### tuple ### ACTION PROTOCOL DPORT DST SPORT SRC [DAPP SAPP] DIRECTION[_INTERFACE] [comment=HEX]

Without a direction it is `in`, as ufw before 0.30 wrote it. The first rule that matches decides. ufw's default policies
are not in this file.
"""

import re
from binascii import unhexlify

from tinysnitch.core.imports.draft import Draft, NotSayable
from tinysnitch.core.model.errors import LineError
from tinysnitch.core.model.undecoded import text_of
from tinysnitch.core.rules.quoting import quote_word

_TUPLE = re.compile(r"### tuple ###\s*(.*)")
_VERDICTS = {"allow": "allow", "deny": "deny", "reject": "deny"}
_PROTOCOLS = {  # ufw.util.supported_protocols, by their numbers at IANA
    "any": "",
    "tcp": "tcp",
    "udp": "udp",
    "igmp": "2",
    "ipv6": "41",
    "gre": "47",
    "esp": "50",
    "ah": "51",
    "vrrp": "112",
}
_ANY_ADDRESS = ("0.0.0.0/0", "::/0", "any")
_HINT = "name /etc/ufw/user.rules or user6.rules"


def parse_ufw(file: str, text: str) -> list[Draft | tuple[str, str]]:
    """The rules of a file, in its order. Raises LineError for what is no such file."""
    found: list[Draft | tuple[str, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if told := _TUPLE.match(line):
            found.append(_draft_or_why(f"line {number}", told[1], rank=number))
    if not found and "### RULES ###" not in text:
        raise LineError(file, 0, 0, "not a file of ufw's rules", _HINT)
    return found


def _draft_or_why(name: str, told: str, rank: int) -> Draft | tuple[str, str]:
    fields, _, comment = told.partition(" comment=")
    name = ": ".join(filter(None, (name, _decode(comment.strip()))))
    try:
        return _draft(name, fields.split(), rank)
    except NotSayable as why:
        return name, str(why)


def _decode(comment: str) -> str:
    try:
        return text_of(unhexlify(comment))
    except ValueError:
        return ""


def _draft(name: str, fields: list[str], rank: int) -> Draft:
    if not 6 <= len(fields) <= 9:
        raise NotSayable(f"{len(fields)} words")
    place = fields[-1] if len(fields) in (7, 9) else "in"
    action, protocol, dport, dst, sport, src = fields[:6]
    direction, _, interface = place.partition("_")
    if action.startswith("route:") or "!" in place:
        raise NotSayable("what this machine forwards")
    verdict = _VERDICTS.get(action.partition("_")[0])  # the rest says what is logged
    if verdict is None:
        raise NotSayable(f"the action {quote_word(action)}" + (", a rate" if action.startswith("limit") else ""))
    if direction not in ("in", "out") or protocol not in _PROTOCOLS:
        raise NotSayable(f"the words {quote_word(protocol)} and {quote_word(place)}")
    is_inbound = direction == "in"
    own, remote = (dst, src) if is_inbound else (src, dst)
    if own not in _ANY_ADDRESS:
        raise NotSayable(f"{own}, an address of this machine")
    if sport != "any":
        raise NotSayable(f"the port {sport} that is sent from")
    word = _PROTOCOLS[protocol] + ("-src" if is_inbound else "")
    return Draft(
        name=name,
        verdict=verdict,
        remotes=[] if remote in _ANY_ADDRESS else [remote],
        ports=[] if dport == "any" else dport.replace(":", "-").split(","),
        protocols=[word or "-"],
        qualifiers={"iface": [quote_word(interface)]} if interface else {},
        rank=rank,
        remarks=["also over " + ("IPv4" if ":" in own else "IPv6")] if remote in _ANY_ADDRESS else [],
    )
