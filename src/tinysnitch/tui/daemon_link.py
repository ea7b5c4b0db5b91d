"""Stays attached to the daemon, through its restarts, and tells the prompt's state what it hears."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from tinysnitch.client.prompt_client import PromptClient
from tinysnitch.client.user_names import find_user
from tinysnitch.core.errors import DaemonNotRunning, SnitchError
from tinysnitch.protocol.messages import GiveAnswer, RuleWritten
from tinysnitch.view.prompt_events import (
    Answer,
    AnswerRefused,
    Answers,
    ConnectionLost,
    DaemonGreeted,
    Event,
)
from tinysnitch.view.push_event import event_of_push, join_hint, notice_of_answer

RETRY_S = 1.0


class DaemonLink:
    def __init__(self, path: str | Path, tell: Callable[[Event], None]) -> None:
        self._path = path
        self._tell = tell
        self._client: PromptClient | None = None

    async def run(self) -> None:
        """Follow the daemon for ever. Raises what connecting again can't mend, NotPermitted for one."""
        while True:
            try:
                await self._follow()
            except DaemonNotRunning as error:
                self._tell(ConnectionLost(str(error)))
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
            self._tell(event_of_push(push, find_user))

    async def answer(self, effect: Answer | Answers) -> None:
        """Send what was answered, all of it before the first reply, and tell what became of it."""
        client = self._client
        if client is None:
            return  # its question is gone with the daemon
        answers = effect.answers if isinstance(effect, Answers) else (effect,)
        requests = (client.request(GiveAnswer(one.prompt_id, one.choice, one.rule)) for one in answers)
        outcomes = await asyncio.gather(*requests, return_exceptions=True)
        replies = [reply for outcome in outcomes if isinstance(outcome, list) for reply in outcome]
        taken = [reply for reply in replies if isinstance(reply, RuleWritten)]
        if taken:
            self._tell(notice_of_answer(taken[-1], effect))
        for answer, outcome in zip(answers, outcomes, strict=True):
            if isinstance(outcome, SnitchError):
                reason = join_hint(str(outcome), outcome.hint if answer.rule else "")
                self._tell(AnswerRefused(answer.prompt_id, reason))
