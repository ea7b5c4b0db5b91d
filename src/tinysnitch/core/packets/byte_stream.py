"""One direction of a TCP connection, or of a QUIC handshake, put together from its pieces as the receiver does it.

Rules: (1) bytes come out once and in order; (2) of bytes that are sent again the first copy counts, as for the receiver
(tcp_data_queue() in net/ipv4/tcp_input.c drops what lies before rcv_nxt); (3) what comes early waits, within a bound;
(4) copies that differ while they wait are malformed: which of them the receiver takes would be a guess.
"""

from tinysnitch.core.model.errors import Malformed

MAX_EARLY_BYTES = 16 * 1024  # from the next byte to the end of what came early
MAX_EARLY_SEGMENTS = 64
_MODULUS = 1 << 32  # sequence numbers wrap around (RFC 9293 3.4)


class ByteStream:
    def __init__(self, sequence: int) -> None:
        """`sequence`: number of the first byte to come."""
        self._sequence = sequence
        self._position = 0  # bytes that came out
        self._early: list[tuple[int, bytes]] = []  # position and bytes

    def is_next(self, sequence: int) -> bool:
        """Whether this is the number of the next byte to come out."""
        return sequence == self._sequence

    def covers(self, sequence: int) -> bool:
        """Whether this is the number of a byte that came out, or of the next one."""
        return -self._position <= self._distance(sequence) <= 0

    def push(self, sequence: int, data: bytes) -> bytes:
        """Take a piece; returns the bytes that can come out now. After Malformed the stream must not be used."""
        distance = self._distance(sequence)
        if distance + len(data) <= 0:
            return b""
        place = (self._position + distance, data)
        for other in self._early:
            _refuse_conflict(place, other)
        if distance > 0:
            self._keep(place)
            return b""
        return self._take(data[-distance:])

    def _distance(self, sequence: int) -> int:
        """How far this byte lies behind the next one, the shorter way round; negative if it came out already."""
        return (sequence - self._sequence + _MODULUS // 2) % _MODULUS - _MODULUS // 2

    def _keep(self, place: tuple[int, bytes]) -> None:
        if place in self._early:
            return
        self._early.append(place)
        is_far = place[0] + len(place[1]) - self._position > MAX_EARLY_BYTES
        if is_far or len(self._early) > MAX_EARLY_SEGMENTS:
            raise Malformed("too much of a stream came early")

    def _take(self, data: bytes) -> bytes:
        """The bytes, and behind them those that waited for them."""
        taken = bytearray(data)
        for position, early in sorted(self._early):
            known = self._position + len(taken)
            if position <= known:
                taken += early[known - position :]
        self._position += len(taken)
        self._sequence = (self._sequence + len(taken)) % _MODULUS
        self._early = [place for place in self._early if place[0] > self._position]
        return bytes(taken)


def _refuse_conflict(one: tuple[int, bytes], other: tuple[int, bytes]) -> None:
    start, end = max(one[0], other[0]), min(one[0] + len(one[1]), other[0] + len(other[1]))
    if start < end and one[1][start - one[0] : end - one[0]] != other[1][start - other[0] : end - other[0]]:
        raise Malformed("parts of a stream overlap with different bytes")
