"""`make trips`: how far one datum travels through the daemon, counted in files, functions and calls of src/tinysnitch.

The daemon's own objects work, as in the tests of its loop, with files in a scratch folder. Queue, attribution and BPF
maps are stand-ins, so what a real packet adds there is not counted. Each trip is taken once before it is counted: what
is made at the first use only has been made. The packet that a rule decides goes to another remote than the one before
it, which the same rule decided: the usual miss. What a rule costs once (its text for the log, say) is not counted.
"""

import argparse
import asyncio
import struct
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, FrameType

import dns.message
import dns.rrset
import msgspec

import tinysnitch
from tests.core.engine.transcript import yes
from tests.daemon.loop.driver_place import Place, datagram, ipv4, syn, until
from tests.daemon.requests.small_handler import ROOT
from tinysnitch.core.engine.events import FactsChanged
from tinysnitch.core.model.flow import DNS_PORT, parse_address
from tinysnitch.kernel.nfqueue.packet_events import LOCAL_IN
from tinysnitch.kernel.nfqueue.queue import QueuedPacket

SOURCE = Path(tinysnitch.__file__).parent
RULES = "allow - 443 tcp\n"
REMOTE = 16  # offset of the destination in an IPv4 header (RFC 791 3.1)
STAND_INS = "stand-ins: the queue, attribution and BPF maps; all else is the daemon's own, with files of its own"


@dataclass
class Trip:
    """The calls of the project's functions, in order. A generator is entered anew each time that it goes on."""

    name: str
    calls: list[CodeType] = field(default_factory=list)

    @property
    def files(self) -> int:
        return len({code.co_filename for code in self.calls})

    @property
    def functions(self) -> int:
        return len({(code.co_filename, code.co_qualname) for code in self.calls})

    @property
    def file_changes(self) -> int:
        """How often a call enters another file than the call before it."""
        return sum(one.co_filename != next_.co_filename for one, next_ in zip(self.calls, self.calls[1:], strict=False))

    def row(self) -> str:
        return f"| {self.name} | {self.files} | {self.functions} | {len(self.calls)} | {self.file_changes} |"

    def list_calls(self) -> str:
        return "\n".join(f"{Path(code.co_filename).relative_to(SOURCE)} {code.co_qualname}" for code in self.calls)


async def take(name: str, begin: Callable[[], object], is_over: Callable[[], object] = lambda: True) -> Trip:
    """Begin something, run the loop until it is over, and note the calls meanwhile."""
    trip = Trip(name)

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and Path(frame.f_code.co_filename).is_relative_to(SOURCE):
            trip.calls.append(frame.f_code)

    sys.setprofile(note)
    try:
        begin()
        await until(is_over)
    finally:
        sys.setprofile(None)
    return trip


@asynccontextmanager
async def small_daemon(folder: Path) -> AsyncIterator[Place]:
    """A daemon with stand-ins; the resolver that datagram() asks is trusted."""
    place = Place(folder, RULES)
    try:
        place.driver.start(lambda _now_s: iter(()))
        resolvers = frozenset({parse_address("10.0.0.80")})
        place.driver.feed(FactsChanged(msgspec.structs.replace(place.loader.facts, resolvers=resolvers)))
        yield place
    finally:
        place.close()


async def take_all(place: Place) -> list[Trip]:
    """Each trip twice; the second ones are returned."""
    trips: list[Trip] = []
    for number in (1, 2):
        question, answer = dns_messages(2 * number)
        log, passed = Growth(lambda: place.log.stat().st_size), Growth(lambda: len(place.names_queue.sent))
        decided, asked = allowed_syn(2 * number), syn(2 * number + 1, 41000 + number, 80 + number)
        trips = [
            await take("packet that a rule decides", partial(place.queue.put, decided), log.has_come),
            await take("packet that is asked about", partial(place.queue.put, asked), log.has_come),
            await take("answer: yes, forever", partial(place.handler.answer, number, yes(), ROOT)),
            await take("DNS question", partial(place.names_queue.put, question), passed.has_come),
            await take("DNS answer", partial(place.names_queue.put, answer), passed.has_come),
        ]
    return trips


class Growth:
    """Tells once of each time that something has grown."""

    def __init__(self, read_size: Callable[[], int]) -> None:
        self._read_size = read_size
        self._size = read_size()

    def has_come(self) -> bool:
        before, self._size = self._size, self._read_size()
        return self._size > before


def allowed_syn(packet_id: int) -> QueuedPacket:
    """To a remote of its own, at the port that the rule is about."""
    queued = syn(packet_id)
    end = REMOTE + 4
    payload = queued.payload[:REMOTE] + bytes([192, 0, 2, 100 + packet_id]) + queued.payload[end:]
    return msgspec.structs.replace(queued, payload=payload)


def dns_messages(packet_id: int) -> tuple[QueuedPacket, QueuedPacket]:
    """A question for an address, and its answer with a name that was not known before."""
    name = f"host{packet_id}.example."
    question = dns.message.make_query(name, "A", id=packet_id)
    answer = dns.message.make_response(question)
    answer.answer.append(dns.rrset.from_text(name, 60, "IN", "A", f"192.0.2.{packet_id}"))
    asked = datagram(packet_id, question.to_wire())
    payload = answer.to_wire()
    body = struct.pack("!HHHH", DNS_PORT, 40000, 8 + len(payload), 0) + payload
    return asked, msgspec.structs.replace(
        asked, packet_id=packet_id + 1, hook=LOCAL_IN, payload=ipv4(17, body, is_answer=True)
    )


async def run(*, lists_calls: bool) -> None:
    with TemporaryDirectory() as folder:
        async with small_daemon(Path(folder)) as place:
            trips = await take_all(place)
    print(f"{STAND_INS}\n\n| trip | files | functions | calls | changes of file |\n|---|---:|---:|---:|---:|")
    print("\n".join(trip.row() for trip in trips))
    if lists_calls:
        for trip in trips:
            print(f"\n{trip.name}:\n{trip.list_calls()}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", action="store_true", help="list the calls, too")
    asyncio.run(run(lists_calls=parser.parse_args().calls))
