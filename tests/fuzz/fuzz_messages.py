"""Mutated DNS messages through all that reads them: `python -m tests.fuzz.fuzz_messages 10000000`, or `make fuzz`.

Nothing but Malformed may be raised, and no message may take more than MOST_S of the processor.
"""

import random
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.mutation import SEED, mutants
from tinysnitch.core.dns.link_names import parse_link_answer, parse_link_questions
from tinysnitch.core.dns.message import parse_answer, parse_question
from tinysnitch.core.dns.stream import DnsStreams
from tinysnitch.core.dns.wire import MAX_MESSAGE_BYTES
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.model.flow import TCP, Direction, Flow, parse_address
from tinysnitch.core.packets.packet import Segment

CORPUS = Path(__file__).parent / "corpus" / "messages.txt"
MOST_S = 0.005
ATTEMPTS = 3  # a message that seems slow is read again: perhaps it was the machine
TELL_EVERY = 500_000
STREAMED = b"\x20"  # only messages that end in no more come as streams too: what is in them means little there

_FLOW = Flow(TCP, Direction.OUTBOUND, parse_address("10.0.0.2"), 40000, parse_address("10.0.0.53"), 53)
_SYN, _ACK = 0x02, 0x10


@dataclass
class Outcome:
    messages: int = 0
    read: int = 0  # as a question or an answer
    slowest_s: float = 0.0
    slowest: bytes = b""


def read_corpus() -> list[bytes]:
    """Real messages, one a line in hexadecimal behind what it is."""
    lines = [line for line in CORPUS.read_text().splitlines() if line and not line.startswith("#")]
    return [bytes.fromhex(line.rpartition(" ")[2]) for line in lines]


def read_stream(payload: bytes) -> None:
    """The message as a stream that comes in three pieces, the middle one last."""
    if not 12 <= len(payload) <= MAX_MESSAGE_BYTES:
        return
    streams, middle = DnsStreams(1), len(payload) // 3
    streams.read_questions(_FLOW, Segment(99, 0, _SYN), 0.0)
    stream = len(payload).to_bytes(2, "big") + payload
    pieces = [(0, stream[:middle]), (2 * middle, stream[2 * middle :]), (middle, stream[middle : 2 * middle])]
    read = [
        message
        for at, data in pieces
        for message in streams.read_questions(_FLOW, Segment(100 + at, 0, _ACK, data), 0.0)
    ]
    assert read == [payload]


READERS: tuple[Callable[[bytes], object], ...] = (
    parse_question,
    parse_answer,
    parse_link_questions,
    parse_link_answer,
)


def fuzz(count: int, seed: int = SEED, tell: Callable[[Outcome], None] = lambda _outcome: None) -> Outcome:
    """Raises what a reader raised, with the message."""
    corpus, outcome = read_corpus(), Outcome()
    for message in mutants(corpus, count, corpus, random.Random(seed)):
        started_s = time.thread_time()
        outcome.read += read(message)
        if time.thread_time() - started_s > outcome.slowest_s:
            taken_s = max(measure(reader, message) for reader in READERS)
            if taken_s > outcome.slowest_s:
                outcome.slowest_s, outcome.slowest = taken_s, message
        outcome.messages += 1
        if outcome.messages % TELL_EVERY == 0:
            tell(outcome)
    return outcome


def read(message: bytes) -> bool:
    """Whether it is one, for one of the readers."""
    is_read = False
    for reader in READERS if message[-1:] > STREAMED else (read_stream, *READERS):
        try:
            is_read |= reader(message) not in (None, [])
        except Malformed:
            continue
        except Exception as error:
            raise AssertionError(f"{reader.__name__} of {message.hex()}: {error!r}") from error
    return is_read


def measure(reader: Callable[[bytes], object], message: bytes) -> float:
    """Seconds of the processor, the best of some attempts."""
    best_s = float("inf")
    for _ in range(ATTEMPTS):
        started_s = time.thread_time()
        with suppress(Malformed):
            reader(message)
        best_s = min(best_s, time.thread_time() - started_s)
    return best_s


def say(outcome: Outcome) -> None:
    sys.stdout.write(
        f"{outcome.messages:,} messages, {outcome.read:,} of them read, none failed, "
        f"the slowest took {outcome.slowest_s * 1000:.2f} ms\n"
    )
    sys.stdout.flush()


def main() -> int:
    count = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else SEED
    outcome = fuzz(count, seed, say)
    say(outcome)
    if outcome.slowest_s > MOST_S:
        sys.stdout.write(f"too slow: {outcome.slowest.hex()}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
