"""Stays connected with the daemon, also through its restarts, in asyncio's loop: to be asked, and to read its log."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from tinysnitch.client.knock import connect_at_once
from tinysnitch.client.log_client import LogClient
from tinysnitch.client.prompt_client import RETRY_S, PromptClient
from tinysnitch.client.user_names import find_user
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.view.prompt_events import Event, ToDaemon

# How long we wait at the end for replies to our last answers. If one key gave several, the daemon takes no further ones
# once we have disconnected, and it may get no processor for seconds.
ANSWER_S = 5.0
_CHUNK = 65536


E_co = TypeVar("E_co", covariant=True)  # what is told
E = TypeVar("E")


class Client(Protocol[E_co]):
    """What a link needs of a client without a socket."""

    unsent: bytearray

    @property
    def is_answering(self) -> bool: ...

    def wait_for_room(self, now: float, /) -> float: ...

    def receive(self, data: bytes, boot_s: float, /) -> Iterator[E_co]: ...

    def end(self, error: SnitchError, /) -> Iterator[E_co]: ...


class Link(Generic[E]):
    def __init__(self, path: str | Path, tell: Callable[[E], None], client: Client[E]) -> None:
        self._path = path
        self._tell = tell
        self._client = client
        self._writer: asyncio.StreamWriter | None = None
        self._has_replies = asyncio.Event()  # to all answers

    async def run(self) -> None:
        """Follow the daemon for ever. Raises a SnitchError that connecting again cannot help, NotPermitted for one."""
        while True:
            try:
                await self._follow()
            except SnitchError as error:
                self._pass_on(self._client.end(error))
            await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        reader, self._writer = await asyncio.open_unix_connection(sock=await self._connect())
        try:
            while True:
                data = b""
                with suppress(OSError):
                    data = await reader.read(_CHUNK)
                self._pass_on(self._client.receive(data, time.clock_gettime(time.CLOCK_BOOTTIME)))
        finally:
            self._writer.transport.abort()  # a daemon that reads nothing is not waited for
            self._writer = None

    async def _connect(self) -> socket.socket:
        while (connection := connect_at_once(self._path)) is None:  # noqa: ASYNC110 - nothing there signals an event
            await asyncio.sleep(self._client.wait_for_room(time.monotonic()))
        return connection

    async def finish(self) -> None:
        """Wait for replies to the last answers: a person who answers and leaves at once must still have answered."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                while self._client.is_answering:
                    self._has_replies.clear()
                    await self._has_replies.wait()

    def _pass_on(self, events: Iterator[E]) -> None:
        """Tell the events, and send what the client has to say now."""
        try:
            for event in events:
                self._tell(event)
        finally:
            if not self._client.is_answering:
                self._has_replies.set()
        if self._writer:
            self._writer.write(self._client.unsent)
        self._client.unsent = bytearray()


class DaemonLink(Link[Event]):
    """Attached, for questions and answers."""

    def __init__(self, path: str | Path, tell: Callable[[Event], None]) -> None:
        self._prompt = PromptClient(path, find_user)
        super().__init__(path, tell, self._prompt)

    def answer(self, given: ToDaemon) -> None:
        self._pass_on(self._prompt.answer(given))


class LogLink(Link[Event]):
    """For the last decisions."""

    def __init__(self, path: str | Path, tell: Callable[[Event], None]) -> None:
        super().__init__(path, tell, LogClient(path))
