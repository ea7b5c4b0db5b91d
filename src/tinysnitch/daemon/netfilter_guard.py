"""Puts our netfilter rules back when somebody takes them away: `nft flush ruleset`, `iptables -F`, another firewall.

What comes meanwhile is not judged, so that it is told and counted. Where ours stand among the rules of others is theirs
to say: two of us in one namespace would never agree on who is first.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TypeVar

from tinysnitch.core.errors import SnitchError
from tinysnitch.kernel.netfilter import Netfilter
from tinysnitch.kernel.netfilter_news import NetfilterNews

SETTLE_S = 0.2  # whoever loads rules of their own does so in several steps
PAUSE_S = 2.0  # between two looks at most, and after one that failed
REST = 9  # times as long as a look took is the pause after it: iptables-save takes the longer the more rules there are
TOLD_AGAIN_S = 60.0  # the same trouble
TAKEN_AWAY = "netfilter rules taken away by others"
PUT_BACK = f"{TAKEN_AWAY}, put back"

T = TypeVar("T")


class NetfilterGuard:
    def __init__(self, netfilter: Netfilter, tell: Callable[[str], None]) -> None:
        """`tell`: PUT_BACK, or why they could not be. It raises nothing."""
        self.put_back = 0  # how often
        self.problem = ""  # why they are not there
        self._netfilter = netfilter
        self._tell = tell
        self._news = NetfilterNews()
        self._has_news = asyncio.Event()
        self._told_until_s = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """After the rules were added: look at what became of them meanwhile, and from now on."""
        asyncio.get_running_loop().add_reader(self._news.fileno(), self._take_news)
        self._has_news.set()
        self._task = asyncio.create_task(self._look_after_news())

    async def stop(self) -> None:
        """Once this returns nothing is put back any more."""
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
            found = await self._look_beside()
            is_done = found in (None, PUT_BACK)
            if found and not is_done:
                self._has_news.set()  # to try once more
                self._note_problem(found)
            else:
                self.problem = ""
            if found == PUT_BACK:
                self.put_back += 1
                self._tell(PUT_BACK)
            await asyncio.sleep(min(PAUSE_S, REST * (time.monotonic() - begun_s)) if is_done else PAUSE_S)

    def _note_problem(self, problem: str) -> None:
        """It is tried every few seconds, and told when it is another one, or once more after a while."""
        is_known, self.problem = problem == self.problem, problem
        now_s = time.monotonic()
        if not is_known or now_s >= self._told_until_s:
            self._told_until_s = now_s + TOLD_AGAIN_S
            self._tell(problem)

    async def _look_beside(self) -> str | None:
        """In a thread, since iptables takes its time, and verdicts must not wait for it."""
        try:
            return await _to_the_end(asyncio.to_thread(self._look))
        except Exception as error:  # not even a thread can be had: whoever gave up now would leave it open unsaid
            return f"netfilter rules not looked at: {error}"

    def _look(self) -> str | None:
        """What there is to tell."""
        if self._netfilter.is_whole():
            return None
        self.problem = self.problem or TAKEN_AWAY  # to add them may take long, and until then nothing is judged
        try:
            self._netfilter.add_again()
        except SnitchError as error:
            return f"{TAKEN_AWAY}, not put back: {error}"
        return PUT_BACK


async def _to_the_end(work: Coroutine[None, None, T]) -> T:
    """Also when we are cancelled: a thread goes on all the same. That it fails then does not make us go on, too."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise
