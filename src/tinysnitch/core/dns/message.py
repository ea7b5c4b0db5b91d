"""DNS questions and answers (RFC 1035), as far as they tell for which name an address was given.

Only the header, the question and the answer section are read: nothing is learned from the other sections.
"""

import re
from collections.abc import Iterator
from itertools import accumulate

import msgspec

from tinysnitch.core.dns.wire import (
    AAAA,
    ANY,
    CNAME,
    IN,
    MAX_RECORDS,
    MAX_WIRE_TTL_S,
    OTHER_CLASSES,
    SERVICES,
    A,
    NoLookup,
    Record,
    WireReader,
    open_message,
    read_question,
    read_records,
)
from tinysnitch.core.model.errors import Malformed

NO_ERROR = 0
MAX_ALIAS_CHARACTERS = 512  # of the aliases that are kept: for thousands of addresses, to be shown
_SERVICE_PREFIX = re.compile(r"(_[0-9]+\._https|(_[0-9]+\.)?_dns)\.")


class DnsQuestion(msgspec.Struct, frozen=True):
    id: int
    name: str  # spelled as in domain.py
    type: int


class DnsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    name: str  # of the question that it answers
    is_completed: bool = False  # a search domain made the name of the one label that was asked
    type: int
    addresses: tuple[tuple[bytes, int], ...] = ()  # packed, with the least TTL on the way to it, in seconds
    cnames: tuple[str, ...] = ()  # the last aliases on that way, without the name that was asked
    rcode: int = NO_ERROR
    is_truncated: bool = False


def host_of(name: str, kind: int) -> str:
    """The host that a question is about: shop.test for `_8443._https.shop.test` (RFC 9460 9.1) or `_dns.shop.test`
    (RFC 9461 3).

    No other label with an underscore is skipped: whoever may answer for `_acme-challenge.shop.test`, say, need not
    own the name behind it.
    """
    prefix = _SERVICE_PREFIX.match(name) if kind in SERVICES else None
    return name[prefix.end() :] if prefix else name


def parse_question(payload: bytes) -> DnsQuestion:
    """The one question of a query message."""
    reader, header = open_message(payload, is_answer=False)
    name, kind = _read_one_question(reader, header.questions)
    return DnsQuestion(header.id, name, kind)


def parse_answer(payload: bytes, *, may_be_completed: bool = False) -> DnsAnswer:
    """The answer, with the addresses that its records give to the name that was asked.

    `may_be_completed`: if that is one label, a search domain may have completed it.
    """
    reader, header = open_message(payload, is_answer=True)
    asked, kind = _read_one_question(reader, header.questions)
    found = list(read_records(reader, header))
    name = _complete(asked, found) if may_be_completed else asked
    ttls = _follow_aliases(name, found)
    addresses = tuple(_find_addresses(kind, found, ttls))
    if len(addresses) > MAX_RECORDS:
        raise Malformed(f"{len(addresses)} addresses, {MAX_RECORDS} are read")
    return DnsAnswer(
        id=header.id,
        name=name,
        is_completed=name != asked,
        type=kind,
        addresses=addresses,
        cnames=_last_of(tuple(ttls)[1:]) if len(ttls) > 1 else (),
        rcode=header.rcode,
        is_truncated=header.is_truncated,
    )


def _read_one_question(reader: WireReader, count: int) -> tuple[str, int]:
    if count == 0:  # only cookies (RFC 7873 5.4), EDNS refused (RFC 6891 7), a further part of a zone (RFC 5936 2.2)
        raise NoLookup("0 questions in one message")
    if count != 1:
        raise Malformed(f"{count} questions in one message")
    name, kind, class_ = read_question(reader)
    if class_ != IN:
        problem = f"DNS class {class_}"
        raise NoLookup(problem) if class_ in OTHER_CLASSES else Malformed(problem)
    return name, kind


def _complete(label: str, records: list[Record]) -> str:
    """The name that a search domain made of the label, if that is one: the first record is for it."""
    first = records[0].owner if records else ""
    return first if "." not in label and first.startswith(f"{label}.") else label


def _follow_aliases(name: str, records: list[Record]) -> dict[str, int]:
    """The name and its aliases in order, each with the least TTL on the way; the first CNAME of a name counts."""
    targets: dict[str, Record] = {}
    for record in records:
        if record.type == CNAME:
            targets.setdefault(record.owner, record)
    ttls, current = {name: MAX_WIRE_TTL_S}, name
    while (alias := targets.get(current)) is not None and alias.value not in ttls:
        least = min(ttls[current], alias.ttl_s)
        current = str(alias.value)
        ttls[current] = least
    return ttls


def _last_of(aliases: tuple[str, ...]) -> tuple[str, ...]:
    """As many of the last aliases as may be kept: a domain's owner can answer with a hundred long ones."""
    sizes = accumulate(len(alias) for alias in reversed(aliases))
    count = sum(size <= MAX_ALIAS_CHARACTERS for size in sizes)
    return aliases[len(aliases) - count :]


def _find_addresses(kind: int, records: list[Record], ttls: dict[str, int]) -> Iterator[tuple[bytes, int]]:
    """The addresses of the type that was asked for; only those of the name and its aliases."""
    wanted = (A, AAAA) if kind == ANY else (kind,)
    for record in records:
        if record.type in wanted and record.owner in ttls and isinstance(record.value, bytes):
            yield record.value, min(record.ttl_s, ttls[record.owner])
