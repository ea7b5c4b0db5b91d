"""How often something may be done: so many times at once, and once more each so many seconds.

What was not used is not saved up beyond that. Time is an argument: seconds of whichever clock, always the same one.
"""


class Pace:
    def __init__(self, *, burst: int, each_s: float) -> None:
        self._ahead_s = (burst - 1) * each_s  # how much may be done before its time
        self._each_s = each_s
        self._due_s = 0.0  # when all that was done would have been, one by one

    def wait_s(self, now_s: float) -> float:
        """Until it may be done once more; 0: at once."""
        return max(self._due_s - now_s - self._ahead_s, 0.0)

    def note(self, now_s: float) -> None:
        """It is done, be it too early."""
        self._due_s = max(self._due_s, now_s) + self._each_s

    def may_go(self, now_s: float) -> bool:
        """Whether it may be done at once, as it then is."""
        if self.wait_s(now_s) > 0:
            return False
        self.note(now_s)
        return True
