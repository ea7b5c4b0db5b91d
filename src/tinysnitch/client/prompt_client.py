"""The asyncio client of a prompt: receives pushes as they happen, and sends answers on the same connection.

A client is for one connection. To connect again after the daemon went away, the front end makes a new one.
"""

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import assert_never

from tinysnitch.client.connection_error import (
    check_welcome,
    error_of_end,
    error_of_greeting,
    error_of_malformed,
    error_of_refusal,
)
from tinysnitch.client.knock import AGAIN_S, TIMEOUT_S, connecting, encode_request, knock
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.protocol.framing import MAX_REPLY, FrameDecoder
from tinysnitch.protocol.messages import (
    Attach,
    Done,
    Explanation,
    FromDaemon,
    Hello,
    ListEntry,
    Notice,
    PromptClosed,
    PromptShown,
    Push,
    Refused,
    Request,
    RuleEntry,
    RuleWritten,
    Status,
    Welcome,
)

_decoder: FrameDecoder[FromDaemon] = FrameDecoder(FromDaemon)


class PromptClient:
    """Made by `connect`. Iterate `attach()` in one task; `request` may be awaited in any."""

    def __init__(self, path: str | Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sees_all = True  # as the daemon said when it greeted us
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
        """Raises DaemonNotRunning, Busy, NotPermitted or another SnitchError."""
        reader, writer = await asyncio.open_unix_connection(sock=await _connect(path), limit=MAX_REPLY)
        try:
            welcome = await _read_welcome(path, reader)
            check_welcome(welcome)
        except BaseException:
            writer.close()
            raise
        client = cls(path, reader, writer)
        client.sees_all = welcome.sees_all
        client._send(Hello())
        return client

    async def attach(self) -> AsyncIterator[Push]:
        """Every push from now on. Raises SnitchError with the reason once the connection has ended."""
        await self.request(Attach())
        while True:
            push = await self._pushes.get()
            if isinstance(push, SnitchError):
                raise push
            yield push

    async def request(self, request: Request) -> list[FromDaemon]:
        """All replies to one request. Not for ListAsks: its replies are PromptShown, which here count as pushes.

        Raises SnitchError: why the request was refused or cannot be sent, or why the connection ended.
        """
        if self._end is not None:
            raise self._end
        self._send(request)
        future: asyncio.Future[list[FromDaemon]] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return await future

    async def close(self) -> None:
        self._task.cancel()
        self._writer.close()
        self._finish(error_of_end(self._path))
        await asyncio.gather(self._task, self._writer.wait_closed(), return_exceptions=True)

    def _send(self, request: Request) -> None:
        self._writer.write(encode_request(request))

    async def _receive(self) -> None:
        try:
            while True:
                self._take(await _read_message(self._path, self._reader))
        except SnitchError as error:
            self._finish(error)

    def _take(self, message: FromDaemon) -> None:
        match message:
            case PromptShown() | PromptClosed() | Notice():
                self._pushes.put_nowait(message)
            case Refused() if self._waiting:
                self._refuse(message)
            case Refused():
                raise error_of_refusal(message)
            case Done():
                self._resolve()
            case Welcome() | Status() | RuleEntry() | ListEntry() | RuleWritten() | Explanation():
                self._replies.append(message)
            case _:
                assert_never(message)

    def _resolve(self) -> None:
        replies, self._replies = self._replies, []
        if self._waiting and not (future := self._waiting.popleft()).done():
            future.set_result(replies)

    def _refuse(self, refusal: Refused) -> None:
        self._replies = []
        if not (future := self._waiting.popleft()).done():
            future.set_exception(error_of_refusal(refusal))

    def _finish(self, error: SnitchError) -> None:
        """The connection is over: give the reason to every waiting request, and to `attach`."""
        if self._end is not None:
            return
        self._end = error
        self._pushes.put_nowait(error)
        while self._waiting:
            if not (future := self._waiting.popleft()).done():
                future.set_exception(error)


async def _connect(path: str | Path) -> socket.socket:
    with connecting(path, socket.SOCK_NONBLOCK) as sock:
        async with asyncio.timeout(TIMEOUT_S):
            while not knock(sock, path):  # noqa: ASYNC110 - nothing there signals an event
                await asyncio.sleep(AGAIN_S)
    return sock


async def _read_message(path: str | Path, reader: asyncio.StreamReader) -> FromDaemon:
    """The next message from the daemon. Raises only SnitchError."""
    try:
        frame = await reader.readline()
        if frame.endswith(b"\n"):
            return _decoder.decode(frame)
    except OSError as error:
        raise error_of_end(path) from error
    except ValueError as error:  # Malformed, or readline() met a line longer than MAX_REPLY
        raise error_of_malformed(error) from error
    raise error_of_end(path)


async def _read_welcome(path: str | Path, reader: asyncio.StreamReader) -> Welcome:
    message = await _read_message(path, reader)
    if isinstance(message, Refused):
        raise error_of_greeting(message)
    if not isinstance(message, Welcome):
        raise SnitchError(f"what listens on {path} does not speak like tinysnitchd", "is it another program's socket?")
    return message
