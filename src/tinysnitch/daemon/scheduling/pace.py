"""Limits how often something is done: `burst` times at once, and once more each `each_s` seconds.

Time is an argument: seconds of any clock, as long as it is always the same one.
"""


class Pace:
    def __init__(self, *, burst: int, each_s: float) -> None:
        self._ahead_s = (burst - 1) * each_s  # how far ahead of its time something may be done
        self._each_s = each_s
        self._due_s = 0.0  # when the next one would be due if they were done one each `each_s`

    def wait_s(self, now_s: float) -> float:
        """Seconds until it may be done once more; 0: now."""
        return max(self._due_s - now_s - self._ahead_s, 0.0)

    def note(self, now_s: float) -> None:
        """Note that it is done now, even if that is too early."""
        self._due_s = max(self._due_s, now_s) + self._each_s

    def may_go(self, now_s: float) -> bool:
        """Whether it may be done now; if so, note that it is."""
        if self.wait_s(now_s) > 0:
            return False
        self.note(now_s)
        return True
