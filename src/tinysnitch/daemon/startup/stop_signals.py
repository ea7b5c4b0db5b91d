"""The signals that end the daemon: SIGTERM, SIGINT, and SIGUSR1 when another daemon takes over (`systemctl restart`).

After SIGUSR1 enforcement stays, as with --on-exit keep: until the next daemon runs no unknown packet passes.
"""

import asyncio
import signal
from collections.abc import Coroutine

HAND_OVER = signal.SIGUSR1
_SIGNALS = (signal.SIGTERM, signal.SIGINT, HAND_OVER)


class Stop:
    def __init__(self) -> None:
        self.is_hand_over = False
        self.has_come = False
        self._is_heard = asyncio.Event()

    def listen(self) -> None:
        """Handle the signals from now on. They are noted at once, even while a start keeps the loop waiting."""
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._is_heard.set)
            signal.signal(number, self.take)
            signal.siginterrupt(number, False)  # as add_signal_handler() does: interrupted system calls go on
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)  # `tinysnitch run` held them back until now

    def take(self, number: int, _frame: object = None) -> None:
        self.is_hand_over = number == HAND_OVER
        self.has_come = True

    def end_start(self) -> None:
        """Raise CancelledError if a signal has come, as an `await` at this place would have done."""
        if self.has_come:
            raise asyncio.CancelledError

    def block_further(self) -> None:
        """Block further signals. The very last step: the loop's end restores default actions, and a second signal of an
        impatient user would then kill us with a wrong exit status."""
        signal.pthread_sigmask(signal.SIG_BLOCK, (*_SIGNALS, signal.SIGHUP))

    async def wait(self) -> None:
        await self._is_heard.wait()

    async def is_later_than(self, work: Coroutine[object, object, None]) -> bool:
        """Do the work until a stop cancels it (a start may wait long for a list); whether it came to its end before."""
        working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self.wait())
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            working.cancel()
            stopping.cancel()
            await asyncio.wait((working, stopping))
        if working.cancelled():
            return False
        working.result()
        return True
