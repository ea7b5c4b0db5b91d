"""Stays attached to the daemon, also through its restarts, and passes what it says on to the prompt's state."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from tinysnitch.client.prompt_client import PromptClient
from tinysnitch.client.user_names import find_user
from tinysnitch.core.model.errors import Busy, DaemonNotRunning, SnitchError
from tinysnitch.protocol.messages import GiveAnswer, RuleWritten
from tinysnitch.view.prompt_events import Answers, DaemonGreeted, Event
from tinysnitch.view.push_event import event_of_end, event_of_push, events_of_replies

RETRY_S = 1.0
# How long we wait at the end for replies to our last answers. If one key gave several, the daemon takes no further ones
# once we have disconnected, and it may get no processor for seconds.
ANSWER_S = 5.0


class DaemonLink:
    def __init__(self, path: str | Path, tell: Callable[[Event], None]) -> None:
        self._path = path
        self._tell = tell
        self._client: PromptClient | None = None
        self._answers: set[asyncio.Task[None]] = set()  # those without a reply yet

    async def run(self) -> None:
        """Follow the daemon for ever. Raises a SnitchError that connecting again cannot help, NotPermitted for one."""
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
        """Answer in a task of its own, which `finish` waits for."""
        task = asyncio.create_task(self.answer(given))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def finish(self) -> None:
        """Wait for replies to the last answers: a person who answers and leaves at once must still have answered."""
        if self._answers:
            _taken, late = await asyncio.wait(self._answers, timeout=ANSWER_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def answer(self, given: Answers) -> None:
        """Send all answers before the first reply comes, then tell what became of them."""
        client = self._client
        if client is None:
            return  # the question is gone with the daemon
        requests = (client.request(GiveAnswer(one.prompt_id, one.choice, one.rule)) for one in given.answers)
        outcomes = await asyncio.gather(*requests, return_exceptions=True)
        replies = [reply for outcome in outcomes if isinstance(outcome, list) for reply in outcome]
        taken = [reply for reply in replies if isinstance(reply, RuleWritten)]
        pairs = zip(given.answers, outcomes, strict=True)
        refused = [(answer, outcome) for answer, outcome in pairs if isinstance(outcome, SnitchError)]
        for event in events_of_replies(given, taken[-1] if taken else None, refused):
            self._tell(event)
