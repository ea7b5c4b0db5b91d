"""What was counted since the page was opened: an entry for each program, remote, port, protocol, direction, verdict and
rule, with its rate now and its last minutes.

Bounded: the entry that talked longest ago makes room for a new one, and is counted.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.protocol.messages import TrafficEntry

MAX_KEPT = 2000
RATE_S = 3.0  # over which a rate is the mean
SLACK_S = 0.5  # of what is told each second
STEP_S = 5.0  # of the line of the last minutes
STEPS = 60  # of that line


class Key(NamedTuple):
    program: str
    uid: int | None
    remote: str  # the name, or else the address
    address: str
    port: int
    protocol: str
    direction: Direction
    verdict: Verdict
    rule: str | None


class Meter:
    """Counts of one key."""

    __slots__ = ("bytes_in", "bytes_out", "connections", "first_s", "key", "last_s", "lately", "steps")

    def __init__(self, key: Key, first_s: float) -> None:
        self.key = key
        self.bytes_in = self.bytes_out = self.connections = 0
        self.first_s, self.last_s = first_s, first_s
        self.lately: list[tuple[float, int, int]] = []  # until when, and how many bytes came in and went out
        self.steps: dict[int, int] = {}  # bytes by the number of the step, of the last minutes

    def add(self, entry: TrafficEntry, until_s: float) -> None:
        self.bytes_in += entry.bytes_in
        self.bytes_out += entry.bytes_out
        self.connections += entry.connections
        self.last_s = max(self.last_s, entry.last)
        self.lately = [one for one in self.lately if one[0] > until_s - RATE_S]
        self.lately.append((until_s, entry.bytes_in, entry.bytes_out))
        step = int(until_s // STEP_S)
        self.steps[step] = self.steps.get(step, 0) + entry.bytes_in + entry.bytes_out
        if len(self.steps) > STEPS:
            self.steps = {at: count for at, count in self.steps.items() if at > step - STEPS}

    def rates(self, now_s: float) -> tuple[float, float]:
        """Bytes a second, in and out."""
        since_s = now_s - RATE_S + SLACK_S
        lately = [one for one in self.lately if one[0] > since_s]
        return sum(one[1] for one in lately) / RATE_S, sum(one[2] for one in lately) / RATE_S


class Sum:
    """What several meters have in all."""

    __slots__ = ("bytes_in", "bytes_out", "connections", "first_s", "last_s", "meters", "rate_in", "rate_out")

    def __init__(self, meters: Iterable[Meter], now_s: float) -> None:
        self.meters = tuple(meters)
        self.bytes_in = self.bytes_out = self.connections = 0
        self.rate_in = self.rate_out = 0.0
        for meter in self.meters:
            self.bytes_in += meter.bytes_in
            self.bytes_out += meter.bytes_out
            self.connections += meter.connections
            if meter.lately:
                rate_in, rate_out = meter.rates(now_s)
                self.rate_in += rate_in
                self.rate_out += rate_out
        self.first_s = min(meter.first_s for meter in self.meters)
        self.last_s = max(meter.last_s for meter in self.meters)

    @property
    def bytes(self) -> int:
        return self.bytes_in + self.bytes_out

    @property
    def rate(self) -> float:
        return self.rate_in + self.rate_out

    def line(self, now_s: float, count: int) -> tuple[int, ...]:
        """Bytes in each of so many equal parts of the last minutes, the newest last."""
        newest = int(now_s // STEP_S)
        parts = [0] * count
        for meter in self.meters:
            for step, size in meter.steps.items():
                if (age := newest - step) < STEPS:
                    parts[count - 1 - age * count // STEPS] += size
        return tuple(parts)


class Traffic:
    def __init__(self) -> None:
        self.meters: dict[Key, Meter] = {}  # the one that talked last is the last
        self.until_s = 0.0  # when it was told last
        self.left_out = 0  # rows that the daemon has not told, or that have made room for others

    def add(self, entries: Iterable[TrafficEntry], until_s: float, left_out: int = 0) -> None:
        self.left_out += left_out
        self.until_s = until_s
        for entry in entries:
            key = key_of(entry)
            meter = self.meters.pop(key, None) or Meter(key, entry.first)
            meter.add(entry, until_s)
            self.meters[key] = meter
        while len(self.meters) > MAX_KEPT:
            del self.meters[next(iter(self.meters))]
            self.left_out += 1

    def moment(self, now_s: float) -> float:
        """The time that rates are of: of the last second that was told, unless that was too long ago."""
        return self.until_s if 0 <= now_s - self.until_s < 1 + SLACK_S else now_s


def key_of(entry: TrafficEntry) -> Key:
    remote = entry.name or entry.remote_address
    return Key(
        entry.program,
        entry.uid,
        remote,
        entry.remote_address,
        entry.port,
        entry.protocol,
        entry.direction,
        entry.verdict,
        entry.rule,
    )
