"""Stays attached to the daemon, through its restarts, and tells the prompt's state what it hears."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from tinysnitch.client.prompt_client import PromptClient
from tinysnitch.client.user_names import find_user
from tinysnitch.core.errors import Busy, DaemonNotRunning, SnitchError
from tinysnitch.protocol.messages import GiveAnswer, RuleWritten
from tinysnitch.view.prompt_events import Answers, DaemonGreeted, Event
from tinysnitch.view.push_event import event_of_end, event_of_push, events_of_replies

RETRY_S = 1.0
# At the end, for the daemon to say that it took the last answer. Of several that one key gave it takes no more once we
# are gone, and it may have had no processor for seconds.
ANSWER_S = 5.0


class DaemonLink:
    def __init__(self, path: str | Path, tell: Callable[[Event], None]) -> None:
        self._path = path
        self._tell = tell
        self._client: PromptClient | None = None
        self._answers: set[asyncio.Task[None]] = set()  # on their way

    async def run(self) -> None:
        """Follow the daemon for ever. Raises what connecting again can't mend, NotPermitted for one."""
        while True:
            try:
                await self._follow()
            except (Busy, DaemonNotRunning) as error:
                self._tell(event_of_end(error))
            await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        client = await PromptClient.connect(self._path)
        try:
            self._tell(DaemonGreeted(is_for_user=not client.sees_all))
            self._client = client
            await self._hear(client)
        finally:
            self._client = None
            await client.close()

    async def _hear(self, client: PromptClient) -> None:
        async for push in client.attach():
            self._tell(event_of_push(push, find_user, time.clock_gettime(time.CLOCK_BOOTTIME)))

    def send(self, given: Answers) -> None:
        """Answer beside what goes on; `finish` sees to the end of it."""
        task = asyncio.create_task(self.answer(given))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def finish(self) -> None:
        """Whoever answers and leaves at once has answered, and still hears that it was taken."""
        if self._answers:
            _taken, late = await asyncio.wait(self._answers, timeout=ANSWER_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def answer(self, given: Answers) -> None:
        """Send what was answered, all of it before the first reply, and tell what became of it."""
        client = self._client
        if client is None:
            return  # its question is gone with the daemon
        requests = (client.request(GiveAnswer(one.prompt_id, one.choice, one.rule)) for one in given.answers)
        outcomes = await asyncio.gather(*requests, return_exceptions=True)
        replies = [reply for outcome in outcomes if isinstance(outcome, list) for reply in outcome]
        taken = [reply for reply in replies if isinstance(reply, RuleWritten)]
        pairs = zip(given.answers, outcomes, strict=True)
        refused = [(answer, outcome) for answer, outcome in pairs if isinstance(outcome, SnitchError)]
        for event in events_of_replies(given, taken[-1] if taken else None, refused):
            self._tell(event)
