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
        """From now on the signals are for the loop that runs."""
        self.is_hand_over = False
        self._has_come = asyncio.Event()
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self.take, number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)  # `tinysnitch run` held them back until now

    def take(self, number: signal.Signals) -> None:
        self.is_hand_over = number is HAND_OVER
        self._has_come.set()

    @property
    def has_come(self) -> bool:
        return self._has_come.is_set()

    def block_further(self) -> None:
        """Whoever is impatient shall not spoil our end."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    async def wait(self) -> None:
        await self._has_come.wait()

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
