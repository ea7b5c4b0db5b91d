"""Puts our netfilter rules back when somebody removes them: `nft flush ruleset`, `iptables -F`, another firewall.

It is told and counted, since packets of the meantime were not judged. The place of our rules among those of others is
not enforced: two firewalls that both want to be first would never come to rest.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TypeVar

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.netfilter.firewall import Netfilter, NetfilterNews

SETTLE_S = 0.2  # after a change: other firewalls load their rules in several steps
PAUSE_S = 2.0  # the longest pause between two looks, and the pause after one that failed
REST = 9  # the pause is so many times as long as the look: iptables-save takes long when there are many rules
TOLD_AGAIN_S = 60.0  # how soon the same problem is told again
TAKEN_AWAY = "netfilter rules taken away by others"
PUT_BACK = f"{TAKEN_AWAY}, put back"

T = TypeVar("T")


class NetfilterGuard:
    def __init__(self, netfilter: Netfilter, tell: Callable[[str, str], None]) -> None:
        """`tell` is called with PUT_BACK, or with why that failed, and with a hint. It raises nothing."""
        self.put_back = 0  # how often
        self.problem = ""  # why our rules are not there, "" when they are
        self._netfilter = netfilter
        self._tell = tell
        self._news = NetfilterNews()
        self._has_news = asyncio.Event()
        self._told_until_s = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Watch the rules from now on. A first look finds what happened since they were added."""
        asyncio.get_running_loop().add_reader(self._news.fileno(), self._take_news)
        self._has_news.set()
        self._task = asyncio.create_task(self._look_after_news())

    async def stop(self) -> None:
        """Stop watching. Once this returns no rules are put back any more."""
        asyncio.get_running_loop().remove_reader(self._news.fileno())
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._news.close()

    def _take_news(self) -> None:
        self._news.drain()
        self._has_news.set()

    async def _look_after_news(self) -> None:
        while True:
            await self._has_news.wait()
            await asyncio.sleep(SETTLE_S)
            self._has_news.clear()
            begun_s = time.monotonic()
            was_away, problem = await self._look_beside()
            if problem:
                self._has_news.set()  # to try once more
                self._note_problem(problem)
                await asyncio.sleep(PAUSE_S)
                continue
            self.problem = ""
            if was_away:
                self.put_back += 1
                self._tell(PUT_BACK, "`nft monitor` tells who does it")
            await asyncio.sleep(min(PAUSE_S, REST * (time.monotonic() - begun_s)))

    def _note_problem(self, problem: str) -> None:
        """Tell a new problem at once, and the same one again after a while: we try again every few seconds."""
        is_known, self.problem = problem == self.problem, problem
        now_s = time.monotonic()
        if not is_known or now_s >= self._told_until_s:
            self._told_until_s = now_s + TOLD_AGAIN_S
            self._tell(problem, "restart tinysnitchd")

    async def _look_beside(self) -> tuple[bool, str]:
        """Look in a thread: iptables takes long, and verdicts must not wait for it."""
        try:
            return await _to_the_end(asyncio.to_thread(self._look))
        except Exception as error:  # no thread, perhaps: if we gave up, the machine would stay open unnoticed
            return False, f"netfilter rules not looked at: {error}"

    def _look(self) -> tuple[bool, str]:
        """Put the rules back if they are not whole. Returns whether they were not, and why they are not back, or ""."""
        if self._netfilter.is_whole():
            return False, ""
        self.problem = self.problem or TAKEN_AWAY  # adding them may take long, and `status` tells meanwhile
        try:
            self._netfilter.add_again()
        except SnitchError as error:
            return True, f"{TAKEN_AWAY}, not put back: {error}"
        return True, ""


async def _to_the_end(work: Coroutine[None, None, T]) -> T:
    """Await work in a thread; when we are cancelled wait for its end too (it cannot be stopped), then be cancelled."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise
