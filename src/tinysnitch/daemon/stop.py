"""What ends the daemon: SIGTERM or SIGINT, and SIGUSR1 where another one takes over (`systemctl restart`).

Then enforcement stays, as with --on-exit keep: what comes between the two waits in vain, and does not pass.
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
        """From now on the signals are for the loop that runs; noted at once, also while a start keeps it waiting."""
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._is_heard.set)
            signal.signal(number, self.take)
            signal.siginterrupt(number, False)  # as add_signal_handler() has it: what a signal interrupts goes on
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)  # `tinysnitch run` held them back until now

    def take(self, number: int, _frame: object = None) -> None:
        self.is_hand_over = number == HAND_OVER
        self.has_come = True

    def end_start(self) -> None:
        """Where one has come, as if the start had waited here. Raises CancelledError."""
        if self.has_come:
            raise asyncio.CancelledError

    def block_further(self) -> None:
        """Whoever is impatient must not spoil our end."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    async def wait(self) -> None:
        await self._is_heard.wait()

    async def is_later_than(self, work: Coroutine[object, object, None]) -> bool:
        """Whether the work came to its end before the stop, which ends it: a start may wait long for a list."""
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
