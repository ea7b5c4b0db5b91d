"""DNS questions and answers (RFC 1035), as far as they tell which name an address was given for.

dnspython reads the names; its message classes would cost 4 MB more and have no bound on their time. Only the header,
the question and the answer section are read: what else a server adds teaches nothing.
"""

from collections.abc import Iterator
from struct import Struct

import dns.exception
import dns.wire
import msgspec

from tinysnitch.core.domain import format_label
from tinysnitch.core.errors import Malformed
from tinysnitch.core.flow import V4_PREFIX

A, CNAME, AAAA, SVCB, HTTPS, ANY = 1, 5, 28, 64, 65, 255
SERVICES = frozenset({SVCB, HTTPS})  # RFC 9460
NO_ERROR = 0

MAX_MESSAGE_BYTES = 8192  # twice what resolvers send over UDP
MAX_RECORDS = 256
MAX_HINTS = 64  # addresses in one SVCB or HTTPS record
MAX_STEPS = 4096  # labels and compression pointers in all the names of one message: about 3 ms at the worst

_HEADER = Struct("!6H")  # id, flags, counts of questions, answers, authorities, additionals
_IN = 1
_IS_ANSWER, _OPCODE, _IS_TRUNCATED, _RCODE = 0x8000, 0x7800, 0x0200, 0x000F
_V4_HINT, _V6_HINT = 4, 6  # RFC 9460 14.3.2
_MAX_TTL_S = 0x7FFFFFFF  # RFC 2181 8: with the high bit set it counts as 0


class Question(msgspec.Struct, frozen=True):
    id: int
    name: str  # spelled as in domain.py
    type: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    name: str  # of the question that it answers
    type: int
    addresses: tuple[tuple[bytes, int], ...] = ()  # packed, with the TTL in seconds: the least on the way to it
    cnames: tuple[str, ...] = ()  # the aliases on that way, without the name that was asked
    rcode: int = NO_ERROR
    is_truncated: bool = False


class _Record(msgspec.Struct):
    owner: str
    type: int
    ttl_s: int
    value: bytes | str  # packed address, also one that a service record hints at, or the name that a CNAME leads to


class _Reader(dns.wire.Parser):
    """Counts the steps through names, so that no web of compression pointers takes long."""

    steps = 0

    def get_uint8(self) -> int:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise Malformed(f"names of more than {MAX_STEPS} labels and pointers")
        return super().get_uint8()

    def get_name_text(self) -> str:
        labels = self.get_name(decompress=True).labels[:-1]
        return ".".join(map(format_label, labels)) if labels else "."


def host_of(name: str, kind: int) -> str:
    """The name that a question is about: service records are asked for as `_8443._https.shop.test` (RFC 9460 9.1)."""
    while kind in SERVICES and name.startswith("_") and "." in name:
        name = name.partition(".")[2]
    return name


def parse_question(payload: bytes) -> Question:
    """The one question of a query message."""
    reader = _open(payload)
    identifier, flags, questions, *_ = _read_header(reader)
    if flags & _IS_ANSWER:
        raise Malformed("an answer where a question was expected")
    name, kind = _read_question(reader, questions)
    return Question(identifier, name, kind)


def parse_answer(payload: bytes) -> Answer:
    """The answer, with the addresses that its records give to the name that was asked."""
    reader = _open(payload)
    identifier, flags, questions, records, *_ = _read_header(reader)
    if not flags & _IS_ANSWER:
        raise Malformed("a question where an answer was expected")
    if records > MAX_RECORDS:
        raise Malformed(f"{records} records, {MAX_RECORDS} are read")
    name, kind = _read_question(reader, questions)
    found = list(_read_records(reader, records, is_cut=bool(flags & _IS_TRUNCATED)))
    ttls = _follow_aliases(name, found)
    return Answer(
        id=identifier,
        name=name,
        type=kind,
        addresses=tuple(_find_addresses(kind, found, ttls)),
        cnames=tuple(ttls)[1:],
        rcode=flags & _RCODE,
        is_truncated=bool(flags & _IS_TRUNCATED),
    )


def _open(payload: bytes) -> _Reader:
    if len(payload) > MAX_MESSAGE_BYTES:
        raise Malformed(f"DNS message of {len(payload)} bytes, {MAX_MESSAGE_BYTES} are read")
    return _Reader(payload)


def _read_header(reader: _Reader) -> tuple[int, ...]:
    try:
        header: tuple[int, ...] = _HEADER.unpack(reader.get_bytes(_HEADER.size))
    except dns.exception.FormError:
        raise Malformed("DNS header is cut short") from None
    if header[1] & _OPCODE:
        raise Malformed("no standard query")
    return header


def _read_question(reader: _Reader, count: int) -> tuple[str, int]:
    if count != 1:
        raise Malformed(f"{count} questions in one message")
    try:
        name, kind, class_ = reader.get_name_text(), reader.get_uint16(), reader.get_uint16()
    except dns.exception.DNSException as error:
        raise Malformed(f"DNS question: {error}") from None
    if class_ != _IN:
        raise Malformed(f"DNS class {class_}")
    return name, kind


def _read_records(reader: _Reader, count: int, *, is_cut: bool) -> Iterator[_Record]:
    """The records that matter: addresses and aliases of the Internet class. A truncated message may end within one."""
    try:
        for _ in range(count):
            yield from _read_record(reader)
    except dns.exception.DNSException as error:
        if not is_cut:
            raise Malformed(f"DNS record: {error}") from None


def _read_record(reader: _Reader) -> Iterator[_Record]:
    owner = reader.get_name_text()
    kind, class_, ttl_s, size = reader.get_struct("!HHIH")
    ttl_s = ttl_s if ttl_s <= _MAX_TTL_S else 0
    with reader.restrict_to(size):
        if class_ == _IN:
            for value in _read_values(reader, kind):
                yield _Record(owner, kind, ttl_s, value)
        reader.get_remaining()


def _read_values(reader: _Reader, kind: int) -> Iterator[bytes | str]:
    if kind == A:
        yield V4_PREFIX + _read_all(reader, 4)
    elif kind == AAAA:
        yield _read_all(reader, 16)
    elif kind == CNAME:
        yield reader.get_name_text()
    elif kind in SERVICES:
        yield from _read_hints(reader)


def _read_all(reader: _Reader, size: int) -> bytes:
    value = reader.get_remaining()
    if len(value) != size:
        raise dns.exception.FormError
    return value


def _read_hints(reader: _Reader) -> Iterator[bytes]:
    """The addresses in a service record; one that is an alias (priority 0) has none that count (RFC 9460 2.4.2)."""
    priority = reader.get_uint16()
    reader.get_name_text()
    left = MAX_HINTS
    while priority and reader.remaining():
        key, size = reader.get_struct("!HH")
        value = reader.get_bytes(size)
        step = {_V4_HINT: 4, _V6_HINT: 16}.get(key, 0)
        if not step:
            continue
        left -= size // step
        if size % step or left < 0:
            raise dns.exception.FormError
        prefix = V4_PREFIX if key == _V4_HINT else b""
        yield from (prefix + value[start : start + step] for start in range(0, size, step))


def _follow_aliases(name: str, records: list[_Record]) -> dict[str, int]:
    """The name and its aliases in order, each with the least TTL on the way; the first CNAME of a name counts."""
    targets: dict[str, _Record] = {}
    for record in records:
        if record.type == CNAME:
            targets.setdefault(record.owner, record)
    ttls, current = {name: _MAX_TTL_S}, name
    while (alias := targets.get(current)) is not None and alias.value not in ttls:
        least = min(ttls[current], alias.ttl_s)
        current = str(alias.value)
        ttls[current] = least
    return ttls


def _find_addresses(kind: int, records: list[_Record], ttls: dict[str, int]) -> Iterator[tuple[bytes, int]]:
    """Of the type that was asked for, and only those of the name and its aliases."""
    wanted = (A, AAAA) if kind == ANY else (kind,)
    for record in records:
        if record.type in wanted and record.owner in ttls and isinstance(record.value, bytes):
            yield record.value, min(record.ttl_s, ttls[record.owner])
