"""The mode: what becomes of connections that no rule covers. People are asked, or nobody is, for a while or for good.

An end is a moment of the boot-time clock, which nobody can set.
"""

import msgspec

from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.verdict import Verdict


class AskingMode(msgspec.Struct, frozen=True, kw_only=True):
    verdict: Verdict = Verdict.ASK  # of what no rule covers
    ends_s: float | None = None  # boot-time seconds; None: no end
    until_s: float | None = None  # the same moment by the wall clock, as that was set at the beginning: for people
    is_observing: bool = False  # `--learn`: what a rule asks about passes, too

    def has_ended(self, now: Instant) -> bool:
        return self.ends_s is not None and self.ends_s <= now.boot_s


ASKING = AskingMode()
OBSERVING = AskingMode(verdict=Verdict.ALLOW, is_observing=True)


def begin_mode(verdict: Verdict, for_s: float | None, now: Instant) -> AskingMode:
    """The mode that begins now, and lasts for so many seconds. `None`: without end, as asking always is."""
    if for_s is None or verdict is Verdict.ASK:
        return AskingMode(verdict=verdict)
    return AskingMode(verdict=verdict, ends_s=now.boot_s + for_s, until_s=now.wall_s + for_s)
