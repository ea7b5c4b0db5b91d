"""The asyncio client of a prompt: pushes come as they happen, answers go back on the same connection.

Connecting again after the daemon went away is the front end's part: make a new client.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

from tinysnitch.client.connection_error import (
    check_welcome,
    error_of_connect,
    error_of_end,
    error_of_refusal,
)
from tinysnitch.core.choice import Choice
from tinysnitch.core.errors import SnitchError
from tinysnitch.protocol.framing import MAX_REPLY, FrameDecoder, encode_frame
from tinysnitch.protocol.messages import (
    Attach,
    Done,
    FromDaemon,
    GiveAnswer,
    Hello,
    Notice,
    PromptClosed,
    PromptShown,
    Push,
    Refused,
    Request,
    RuleWritten,
    Welcome,
)

_decoder: FrameDecoder[FromDaemon] = FrameDecoder(FromDaemon)


class PromptClient:
    """Made by `connect`. Iterate `attach()` in one task; `answer` may be awaited in any."""

    def __init__(self, path: str | Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._path = path
        self._reader = reader
        self._writer = writer
        self._pushes: asyncio.Queue[Push | SnitchError] = asyncio.Queue()
        self._waiting: deque[asyncio.Future[list[FromDaemon]]] = deque()  # requests, in the order of their replies
        self._replies: list[FromDaemon] = []  # to the oldest of them, so far
        self._end: SnitchError | None = None
        self._task = asyncio.create_task(self._receive())

    @classmethod
    async def connect(cls, path: str | Path) -> "PromptClient":
        """Raises DaemonNotRunning, NotPermitted or another SnitchError."""
        try:
            reader, writer = await asyncio.open_unix_connection(os.fspath(path), limit=MAX_REPLY)
        except OSError as error:
            raise error_of_connect(error, path) from error
        client = cls(path, reader, writer)
        client._send(Hello())
        return client

    async def attach(self) -> AsyncIterator[Push]:
        """Every push from now on. Ends by raising, with why the connection ended."""
        await self.request(Attach())
        while True:
            push = await self._pushes.get()
            if isinstance(push, SnitchError):
                raise push
            yield push

    async def answer(self, prompt_id: int, choice: Choice | None = None, rule: str | None = None) -> str:
        """Answer with a choice or a rule line; returns the line that it made."""
        replies = await self.request(GiveAnswer(prompt_id, choice, rule))
        return next((reply.rule for reply in replies if isinstance(reply, RuleWritten)), "")

    async def request(self, request: Request) -> list[FromDaemon]:
        """All replies to one request. PromptShown counts as a push, so ListAsks does not work here."""
        if self._end is not None:
            raise self._end
        future: asyncio.Future[list[FromDaemon]] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._send(request)
        return await future

    async def close(self) -> None:
        self._task.cancel()
        self._writer.close()
        self._finish(error_of_end(self._path))
        await asyncio.gather(self._task, self._closed(), return_exceptions=True)

    async def _closed(self) -> None:
        await self._writer.wait_closed()

    def _send(self, request: Request) -> None:
        self._writer.write(encode_frame(request))

    async def _receive(self) -> None:
        try:
            while frame := await self._reader.readline():
                self._take(_decoder.decode(frame))
            self._finish(error_of_end(self._path))
        except SnitchError as error:
            self._finish(error)
        except ValueError as error:  # Malformed, or a line beyond the limit
            self._finish(SnitchError(f"the daemon sent what this version does not understand: {error}"))
        except OSError:
            self._finish(error_of_end(self._path))

    def _take(self, message: FromDaemon) -> None:
        match message:
            case PromptShown() | PromptClosed() | Notice():
                self._pushes.put_nowait(message)
            case Welcome():
                check_welcome(message)
            case Refused() if self._waiting:
                self._refuse(message)
            case Refused():
                raise error_of_refusal(message)
            case Done():
                self._resolve()
            case _:
                self._replies.append(message)

    def _resolve(self) -> None:
        replies, self._replies = self._replies, []
        if self._waiting and not (future := self._waiting.popleft()).done():
            future.set_result(replies)

    def _refuse(self, refusal: Refused) -> None:
        self._replies = []
        if not (future := self._waiting.popleft()).done():
            future.set_exception(error_of_refusal(refusal))

    def _finish(self, error: SnitchError) -> None:
        """The connection is over: everyone who waits is told why."""
        if self._end is not None:
            return
        self._end = error
        self._pushes.put_nowait(error)
        while self._waiting:
            if not (future := self._waiting.popleft()).done():
                future.set_exception(error)
