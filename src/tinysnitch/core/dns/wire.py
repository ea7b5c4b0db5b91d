"""The format of DNS messages (RFC 1035 4, RFC 9460 2): header, questions and the records that matter.

Reading a message takes time in proportion to its size. dnspython, with which the tests compare this, takes 3.5 MB of
memory, and ten times as long for the worst that 8 kB can hold.
"""

from collections.abc import Callable, Iterator
from struct import Struct

import msgspec

from tinysnitch.core.model.domain import MAX_LABEL_BYTES, format_label
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import V4_PREFIX

A, CNAME, AAAA, SVCB, HTTPS, ANY = 1, 5, 28, 64, 65, 255
SERVICES = frozenset({SVCB, HTTPS})  # RFC 9460

MAX_MESSAGE_BYTES = 8192  # twice what resolvers send over UDP
MAX_RECORDS = 256
MAX_HINTS = 64  # addresses in one SVCB or HTTPS record

_HEADER = Struct("!6H")
_START = Struct("!HH")  # of the header: id, flags
_QUESTION = Struct("!HH")  # type, class; in service records: key, size
_RECORD = Struct("!HHIH")  # type, class, TTL, size
_NUMBER = Struct("!H")
_POINTER = 0xC0  # the first byte of a pointer is this or higher
_MAX_NAME_SIZE = 255  # RFC 1035 2.3.4
IN = 1  # the Internet class
_IS_ANSWER, _OPCODE, _IS_TRUNCATED, _RCODE = 0x8000, 0x7800, 0x0200, 0x000F
_OTHER_OPCODES = frozenset({0x2000, 0x2800, 0x3000})  # NOTIFY (RFC 1996), UPDATE (RFC 2136), DSO (RFC 8490)
OTHER_CLASSES = frozenset({3, 4})  # CH and HS, RFC 1035 3.2.4
_V4_HINT, _V6_HINT = 4, 6  # RFC 9460 14.3.2
MAX_WIRE_TTL_S = 0x7FFFFFFF  # RFC 2181 8: with the high bit set it counts as 0


class NoLookup(Malformed):
    """A valid message that asks for no name: an update, a notice, a question about the server itself."""


class Header(msgspec.Struct, frozen=True):
    id: int
    questions: int
    answers: int
    rcode: int
    is_truncated: bool


class Record(msgspec.Struct, frozen=True):
    owner: str
    type: int
    ttl_s: int
    value: bytes | str  # packed address (of a service record: a hint), or the name that a CNAME leads to


class WireReader:
    """Reads one field after another; raises Malformed for what is not there or not valid.

    What was read of a name is not read again when a pointer leads there: no web of pointers takes long.
    """

    def __init__(self, wire: bytes, position: int) -> None:
        self.position = position
        self.end = len(wire)  # no byte from there on is read
        self._wire = wire
        # Where a name or a part of one begins → its text, and its size without pointers.
        self._known: dict[int, tuple[str, int]] = {}

    def take(self, size: int) -> bytes:
        start, self.position = self.position, self.position + size
        if self.position > self.end:
            raise Malformed("cut short")
        return self._wire[start : self.position]

    def unpack(self, layout: Struct) -> tuple[int, ...]:
        return layout.unpack(self.take(layout.size))

    def read_name(self) -> str:
        """The name here (RFC 1035 4.1.4), spelled as in domain.py."""
        # Of each label its place, text and bytes. A pointer has neither text nor bytes.
        steps: list[tuple[int, str, int]] = []
        place, least, behind, rest = self.position, self.position, 0, ("", 1)
        while size := self._byte_at(place):
            if behind and (known := self._known.get(place)):
                rest = known
                break
            if size <= MAX_LABEL_BYTES:
                following = place + 1 + size
                steps.append((place, format_label(self._wire[place + 1 : following]), size + 1))
                place = following
                continue
            if size < _POINTER:
                raise Malformed("a label of an unknown kind")
            target = (size - _POINTER) << 8 | self._byte_at(place + 1)
            if target >= least:
                raise Malformed("a pointer that does not lead back")
            steps.append((place, "", 0))
            behind = behind or place + 2
            place = least = target
        self.position = behind or place + 1
        return self._join(steps, rest)

    def _byte_at(self, place: int) -> int:
        if place >= self.end:
            raise Malformed("a name is cut short")
        return self._wire[place]

    def _join(self, steps: list[tuple[int, str, int]], rest: tuple[str, int]) -> str:
        text, size = rest
        for place, label, label_size in reversed(steps):
            if label:
                text, size = f"{label}.{text}" if text else label, size + label_size
            if size > _MAX_NAME_SIZE:
                raise Malformed(f"a name of more than {_MAX_NAME_SIZE} bytes")
            self._known[place] = text, size
        return text or "."


def open_message(payload: bytes, *, is_answer: bool) -> tuple[WireReader, Header]:
    """The header, and a reader that stands behind it. Raises Malformed, as all functions here."""
    if len(payload) > MAX_MESSAGE_BYTES:
        raise Malformed(f"DNS message of {len(payload)} bytes, {MAX_MESSAGE_BYTES} are read")
    if len(payload) < _HEADER.size:
        raise Malformed("DNS header is cut short")
    identifier, flags, questions, answers, _authorities, _additionals = _HEADER.unpack_from(payload)
    if flags & _OPCODE:
        problem = "no standard query"
        raise NoLookup(problem) if flags & _OPCODE in _OTHER_OPCODES else Malformed(problem)
    if bool(flags & _IS_ANSWER) != is_answer:
        raise Malformed(
            "a question where an answer was expected" if is_answer else "an answer where a question was expected"
        )
    if answers > MAX_RECORDS:
        raise Malformed(f"{answers} records, {MAX_RECORDS} are read")
    header = Header(identifier, questions, answers, flags & _RCODE, bool(flags & _IS_TRUNCATED))
    return WireReader(payload, _HEADER.size), header


def mark_truncated(payload: bytes) -> bytes:
    """The first part of a message, marked as a server marks one that it cut (RFC 1035 4.1.1, TC)."""
    if len(payload) < _HEADER.size:
        return payload
    identifier, flags = _START.unpack_from(payload)
    return _START.pack(identifier, flags | _IS_TRUNCATED) + payload[_START.size :]


def read_question(reader: WireReader) -> tuple[str, int, int]:
    """Name, type and class."""
    try:
        name = reader.read_name()
        kind, class_ = reader.unpack(_QUESTION)
    except Malformed as error:
        raise Malformed(f"DNS question: {error}") from None
    return name, kind, class_


def read_records(reader: WireReader, header: Header, class_mask: int = 0xFFFF) -> Iterator[Record]:
    """The addresses and aliases in the answer section. A truncated message may end within a record."""
    try:
        for _ in range(header.answers):
            yield from _read_record(reader, class_mask)
    except Malformed as error:
        if not header.is_truncated:
            raise Malformed(f"DNS record: {error}") from None


def _read_record(reader: WireReader, class_mask: int) -> list[Record]:
    owner = reader.read_name()
    kind, class_, ttl_s, size = reader.unpack(_RECORD)
    read = _READ.get(kind) if class_ & class_mask == IN else None
    if read is None:
        reader.take(size)
        return []
    end, reader.end = reader.end, reader.position + size
    if reader.end > end:
        raise Malformed("cut short")
    values = read(reader)
    if reader.position != reader.end:
        raise Malformed("a record with more in it than there should be")
    reader.end = end
    ttl_s = ttl_s if ttl_s <= MAX_WIRE_TTL_S else 0
    return [Record(owner, kind, ttl_s, value) for value in values]


def _read_v4(reader: WireReader) -> list[bytes | str]:
    return [V4_PREFIX + reader.take(4)]


def _read_v6(reader: WireReader) -> list[bytes | str]:
    return [reader.take(16)]


def _read_alias(reader: WireReader) -> list[bytes | str]:
    return [reader.read_name()]


def _read_hints(reader: WireReader) -> list[bytes | str]:
    """The addresses in a service record. Those of an alias (priority 0) do not count (RFC 9460 2.4.2)."""
    (priority,) = reader.unpack(_NUMBER)
    reader.read_name()
    hints: list[bytes | str] = []
    while reader.position < reader.end:
        key, size = reader.unpack(_QUESTION)
        value = reader.take(size)
        step = {_V4_HINT: 4, _V6_HINT: 16}.get(key, 0) if priority else 0
        if not step:
            continue
        prefix = V4_PREFIX if key == _V4_HINT else b""
        hints += [prefix + value[start : start + step] for start in range(0, size, step)]
        if size % step or len(hints) > MAX_HINTS:
            raise Malformed("hints that are no addresses, or too many")
    return hints


_READ: dict[int, Callable[[WireReader], list[bytes | str]]] = {
    A: _read_v4,
    AAAA: _read_v6,
    CNAME: _read_alias,
    SVCB: _read_hints,
    HTTPS: _read_hints,
}
