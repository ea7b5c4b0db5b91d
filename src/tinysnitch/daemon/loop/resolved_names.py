"""Has the engine learn what systemd-resolved answers to programs that ask it by a socket (nss-resolve), not by packets.

The program gets the answer a moment before we are told: the driver holds its packets a little where that may matter.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from tinysnitch.core.engine.events import LookUpsTold
from tinysnitch.core.model.errors import Malformed
from tinysnitch.daemon.scheduling.follow import follow
from tinysnitch.daemon.scheduling.timers import SingleTimer
from tinysnitch.kernel.resolver.name_services import NSSWITCH, is_resolved_asked
from tinysnitch.kernel.resolver.resolved_monitor import RESOLVED_MONITOR, ResolvedMonitor
from tinysnitch.kernel.system.offload import Offload
from tinysnitch.store.file_watch import watch_file, watch_folder

GONE_S = 60.0  # a restart of systemd-resolved takes less; until then guessed names count as doubtful as before
_log = logging.getLogger(__name__)


class ResolvedNames:
    def __init__(self, feed: Callable[[LookUpsTold], object]) -> None:
        self.is_connected = False  # there may be something to `read`
        self._feed = feed
        self._offload = Offload()
        self._monitor: ResolvedMonitor | None = None
        self._gone_timer = SingleTimer(lambda: feed(LookUpsTold(is_last=True)))
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Connect now, and after each start of systemd-resolved, which makes files in the folder anew."""
        look = Offload().look
        watches = (partial(watch_folder, RESOLVED_MONITOR.parent, look), partial(watch_file, NSSWITCH, look))
        self._tasks = [asyncio.create_task(follow(watch, self._connect)) for watch in watches]

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._end()
        self._gone_timer.cancel()

    def _connect(self) -> None:
        if self._monitor:
            return
        try:
            self._monitor = self._offload.look(_open_monitor)
        except OSError:
            return
        asyncio.get_running_loop().add_reader(self._monitor.fileno(), self.read)
        self.is_connected = True
        self._gone_timer.cancel()
        self._feed(LookUpsTold())

    def read(self) -> None:
        """Feed the engine what systemd-resolved has told by now."""
        if not self._monitor:
            return
        try:
            messages = self._monitor.read()
        except EOFError:
            self._end()
        except Malformed as error:
            _log.warning("names that programs ask systemd-resolved for are not learned: %s", error)
            self._end()
        else:
            if messages:
                self._feed(LookUpsTold(tuple(messages)))

    def _end(self) -> None:
        if self._monitor:
            asyncio.get_running_loop().remove_reader(self._monitor.fileno())
            self._monitor.close()
            self._monitor = None
            self.is_connected = False
            self._gone_timer.start(GONE_S)


def _open_monitor() -> ResolvedMonitor:
    """Raises OSError where there is none, or where programs ask by packets, which tell more."""
    if not is_resolved_asked():
        raise FileNotFoundError
    return ResolvedMonitor(RESOLVED_MONITOR)
