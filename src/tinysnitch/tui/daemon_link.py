"""Stays attached to the daemon, through its restarts, and tells the prompt's state what it hears."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from tinysnitch.client.prompt_client import PromptClient
from tinysnitch.client.user_names import find_user
from tinysnitch.core.errors import DaemonNotRunning, SnitchError
from tinysnitch.protocol.messages import PromptClosed, Push, ReadStatus, Status
from tinysnitch.view.prompt_events import (
    Answer,
    AnswerRefused,
    Answers,
    ConnectionLost,
    DaemonGreeted,
    Event,
    NoticeGiven,
    RulesCounted,
)
from tinysnitch.view.push_event import event_of_push, join_hint

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
            self._tell(DaemonGreeted(await _count_rules(client), not client.sees_all))
            self._client = client
            async for push in client.attach():
                await self._hear(push, client)
        finally:
            self._client = None
            await client.close()

    async def _hear(self, push: Push, client: PromptClient) -> None:
        self._tell(event_of_push(push, find_user))
        if isinstance(push, PromptClosed):
            self._tell(RulesCounted(await _count_rules(client)))

    async def answer(self, effect: Answer | Answers) -> None:
        """Send what was answered and tell what became of it."""
        if isinstance(effect, Answer):
            line = await self._give(effect)
            if line is not None:
                self._tell(NoticeGiven(f"answered: {line}" if line else "answered"))
            return
        for answer in effect.answers:
            await self._give(answer)
        self._tell(NoticeGiven(f"answered {len(effect.answers)} questions together"))

    async def _give(self, answer: Answer) -> str | None:
        """The line that it made; None when it was not taken."""
        if self._client is None:
            return None  # its question is gone with the daemon
        try:
            return await self._client.answer(answer.prompt_id, answer.choice, answer.rule)
        except SnitchError as error:
            self._tell(AnswerRefused(answer.prompt_id, join_hint(str(error), error.hint if answer.rule else "")))
            return None


async def _count_rules(client: PromptClient) -> int:
    replies = await client.request(ReadStatus())
    return sum(reply.rules + reply.temporary_rules for reply in replies if isinstance(reply, Status))
