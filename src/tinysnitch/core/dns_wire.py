"""The format of DNS messages (RFC 1035 4, RFC 9460 2): header, questions and the records that matter.

dnspython reads the names; its message classes would cost 4 MB more and have no bound on their time.
"""

from collections.abc import Callable, Iterator
from struct import Struct

import dns.exception
import dns.wire
import msgspec

from tinysnitch.core.domain import format_label
from tinysnitch.core.errors import Malformed
from tinysnitch.core.flow import V4_PREFIX

A, CNAME, AAAA, SVCB, HTTPS, ANY = 1, 5, 28, 64, 65, 255
SERVICES = frozenset({SVCB, HTTPS})  # RFC 9460

MAX_MESSAGE_BYTES = 8192  # twice what resolvers send over UDP
MAX_RECORDS = 256
MAX_HINTS = 64  # addresses in one SVCB or HTTPS record
MAX_STEPS = 4096  # labels and compression pointers in all the names of one message: about 3 ms at the worst

_HEADER = Struct("!6H")
IN = 1  # the Internet class
_IS_ANSWER, _OPCODE, _IS_TRUNCATED, _RCODE = 0x8000, 0x7800, 0x0200, 0x000F
_V4_HINT, _V6_HINT = 4, 6  # RFC 9460 14.3.2
MAX_TTL_S = 0x7FFFFFFF  # RFC 2181 8: with the high bit set it counts as 0


class Header(msgspec.Struct, frozen=True):
    id: int
    flags: int
    questions: int
    answers: int

    @property
    def is_answer(self) -> bool:
        return bool(self.flags & _IS_ANSWER)

    @property
    def is_truncated(self) -> bool:
        return bool(self.flags & _IS_TRUNCATED)

    @property
    def rcode(self) -> int:
        return self.flags & _RCODE


class Record(msgspec.Struct, frozen=True):
    owner: str
    type: int
    ttl_s: int
    value: bytes | str  # packed address, also one that a service record hints at, or the name that a CNAME leads to


class WireReader(dns.wire.Parser):
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


def open_message(payload: bytes, *, is_answer: bool) -> tuple[WireReader, Header]:
    """A reader behind the header. Raises Malformed, as all here do."""
    if len(payload) > MAX_MESSAGE_BYTES:
        raise Malformed(f"DNS message of {len(payload)} bytes, {MAX_MESSAGE_BYTES} are read")
    if len(payload) < _HEADER.size:
        raise Malformed("DNS header is cut short")
    reader = WireReader(payload, _HEADER.size)
    identifier, flags, questions, answers, _authorities, _additionals = _HEADER.unpack_from(payload)
    header = Header(identifier, flags, questions, answers)
    if flags & _OPCODE:
        raise Malformed("no standard query")
    if header.is_answer != is_answer:
        raise Malformed(
            "a question where an answer was expected" if is_answer else "an answer where a question was expected"
        )
    if answers > MAX_RECORDS:
        raise Malformed(f"{answers} records, {MAX_RECORDS} are read")
    return reader, header


def read_question(reader: WireReader) -> tuple[str, int, int]:
    """Name, type and class."""
    try:
        return reader.get_name_text(), reader.get_uint16(), reader.get_uint16()
    except dns.exception.DNSException as error:
        raise Malformed(f"DNS question: {error}") from None


def read_records(reader: WireReader, header: Header, class_mask: int = 0xFFFF) -> Iterator[Record]:
    """Of the answer section those that matter: addresses and aliases. A truncated message may end within one."""
    try:
        for _ in range(header.answers):
            yield from _read_record(reader, class_mask)
    except dns.exception.DNSException as error:
        if not header.is_truncated:
            raise Malformed(f"DNS record: {error}") from None


def _read_record(reader: WireReader, class_mask: int) -> Iterator[Record]:
    owner = reader.get_name_text()
    kind, class_, ttl_s, size = reader.get_struct("!HHIH")
    ttl_s = ttl_s if ttl_s <= MAX_TTL_S else 0
    with reader.restrict_to(size):
        if class_ & class_mask == IN and kind in _READ:
            for value in _READ[kind](reader):
                yield Record(owner, kind, ttl_s, value)
        else:
            reader.get_remaining()


def _read_v4(reader: WireReader) -> Iterator[bytes]:
    yield V4_PREFIX + reader.get_bytes(4)


def _read_v6(reader: WireReader) -> Iterator[bytes]:
    yield reader.get_bytes(16)


def _read_alias(reader: WireReader) -> Iterator[str]:
    yield reader.get_name_text()


def _read_hints(reader: WireReader) -> Iterator[bytes]:
    """The addresses in a service record; one that is an alias (priority 0) has none that count (RFC 9460 2.4.2)."""
    priority, left = reader.get_uint16(), MAX_HINTS
    reader.get_name_text()
    while reader.remaining():
        key, size = reader.get_struct("!HH")
        value = reader.get_bytes(size)
        step = {_V4_HINT: 4, _V6_HINT: 16}.get(key, 0) if priority else 0
        if not step:
            continue
        left -= size // step
        if size % step or left < 0:
            raise dns.exception.FormError
        prefix = V4_PREFIX if key == _V4_HINT else b""
        yield from (prefix + value[start : start + step] for start in range(0, size, step))


_READ: dict[int, Callable[[WireReader], Iterator[bytes | str]]] = {
    A: _read_v4,
    AAAA: _read_v6,
    CNAME: _read_alias,
    SVCB: _read_hints,
    HTTPS: _read_hints,
}
