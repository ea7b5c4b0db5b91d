"""The filter of the live page: words that must all hold of a row.

`:443` is a port; `in` and `out`, `allowed` and `denied`, `new`, and a protocol are what they say; any other word is a
part of the program, the remote's name or address, or the rule.
"""

from collections.abc import Callable

from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.view.live.traffic import Meter

NEW_S = 60.0  # for how long a row is new
Test = Callable[[Meter, float], bool]  # at a time

_TESTS: dict[str, Test] = {
    "in": lambda meter, _now_s: meter.key.direction is Direction.INBOUND,
    "out": lambda meter, _now_s: meter.key.direction is Direction.OUTBOUND,
    "allowed": lambda meter, _now_s: meter.key.verdict is Verdict.ALLOW,
    "denied": lambda meter, _now_s: meter.key.verdict is Verdict.DENY,
    "new": lambda meter, now_s: now_s - meter.first_s < NEW_S,
    **{
        protocol: lambda meter, _now_s, protocol=protocol: meter.key.protocol == protocol  # type: ignore[misc]
        for protocol in ("tcp", "udp", "icmp")
    },
}
WORDS = tuple(_TESTS)


def parse_filter(text: str) -> tuple[Test, ...]:
    return tuple(map(_parse_word, text.lower().split()))


def _parse_word(word: str) -> Test:
    if word.startswith(":") and word[1:].isdigit():
        return lambda meter, _now_s: str(meter.key.port) == word[1:]
    return _TESTS.get(word) or (lambda meter, _now_s: any(word in part.lower() for part in _parts_of(meter)))


def _parts_of(meter: Meter) -> tuple[str, ...]:
    key = meter.key
    return key.program, key.remote, key.address, key.rule or ""
