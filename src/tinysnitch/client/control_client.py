"""The blocking client of the commands: sends one request, reads its replies, raises every failure as a SnitchError."""

import errno
import os
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self, TypeVar

from tinysnitch.client.connection_error import (
    check_welcome,
    error_of_end,
    error_of_malformed,
    error_of_refusal,
    error_of_silence,
    error_of_version,
)
from tinysnitch.client.knock import AGAIN_S, TIMEOUT_S, connecting, encode_request, knock
from tinysnitch.core.model.errors import Malformed
from tinysnitch.protocol.framing import MAX_REPLY, FrameDecoder, FrameReader
from tinysnitch.protocol.messages import (
    LOG_LINE,
    Done,
    FromDaemon,
    Hello,
    ReadLog,
    Refused,
    Request,
    Traffic,
    WatchTraffic,
    Welcome,
)

_CHUNK = 65536
_decoder: FrameDecoder[FromDaemon] = FrameDecoder(FromDaemon)
T = TypeVar("T")


class ControlClient:
    """One connection, one request at a time. Use it in a `with` block."""

    def __init__(self, path: str | Path, timeout_s: float = TIMEOUT_S) -> None:
        self._path = path
        self.sees_all = True  # as the daemon said when it greeted us
        self._socket = _connect(path, timeout_s)
        self._reader = FrameReader(MAX_REPLY)
        self._frames = self._read_frames()
        self._output: int | None = None
        self._ends_s: float | None = None  # when no more is waited for
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def request(self, request: Request) -> Iterator[FromDaemon]:
        """Every reply up to Done. Raises SnitchError: the daemon's refusal, or why the connection failed."""
        self._send(request)
        for frame in self._frames:
            reply = _reply(frame)
            if isinstance(reply, Done):
                return
            yield reply

    def ask(self, request: Request, kind: type[T]) -> list[T]:
        """All replies of this kind; others are ignored."""
        return [reply for reply in self.request(request) if isinstance(reply, kind)]

    def ask_one(self, request: Request, kind: type[T]) -> T:
        """The one reply of this kind. Raises SnitchError, also if the daemon sends none or several."""
        replies = self.ask(request, kind)
        if len(replies) != 1:
            raise error_of_version(f"the daemon sent {len(replies)} replies instead of one")
        return replies[0]

    def read_log(self, limit: int, follow: bool = False, output: int | None = None) -> Iterator[bytes]:
        """The newest `limit` log lines as JSON, oldest first; with `follow` new ones as they come, without end.

        `output` is the descriptor that they are for: once nobody reads there any more this raises BrokenPipeError.
        """
        self._send(ReadLog(limit, follow))
        if follow:
            self._socket.settimeout(None)
            self._output = output
        for frame in self._frames:
            if frame.startswith(LOG_LINE):
                yield frame
            elif isinstance(_reply(frame), Done):
                return

    def watch(self, seconds: float | None, output: int | None = None) -> Iterator[Traffic]:
        """Who talks with whom, as it is counted, for so long; None: without end. `output` as for the log."""
        self._send(WatchTraffic())
        self._socket.settimeout(None)
        self._output = output
        self._ends_s = None if seconds is None else time.monotonic() + seconds
        for frame in self._frames:
            if isinstance(reply := _reply(frame), Traffic):
                yield reply

    def _greet(self) -> None:
        """Wait for the daemon's welcome, which it sends first. Raises its refusal, if it sends that instead."""
        for frame in self._frames:
            reply = _reply(frame)
            if isinstance(reply, Welcome):
                check_welcome(reply)
                self.sees_all = reply.sees_all
                break
        self._send(Hello())

    def _send(self, request: Request) -> None:
        frame = encode_request(request)
        try:
            self._socket.sendall(frame)
        except (BrokenPipeError, ConnectionResetError):
            return  # what the daemon said before it closed can still be read
        except TimeoutError:
            raise error_of_silence(self._path) from None

    def _read_frames(self) -> Iterator[bytes]:
        while True:
            if not _wait(self._socket, self._output, self._ends_s):
                return
            try:
                data = self._socket.recv(_CHUNK)
            except TimeoutError:
                raise error_of_silence(self._path) from None
            except ConnectionResetError:
                data = b""
            if not data:
                raise error_of_end(self._path)
            yield from self._cut(data)

    def _cut(self, data: bytes) -> Iterator[bytes]:
        try:
            yield from self._reader.feed(data)
        except Malformed as error:
            raise error_of_version(f"the daemon sent too long a message: {error}") from error


def _wait(sock: socket.socket, output: int | None, ends_s: float | None) -> bool:
    """Wait for what the daemon says, if it matters that the last reader of the output goes, or when it ends; false if
    it has ended. Raises BrokenPipeError when that reader is gone, which poll(2) tells without being asked; a write
    would tell only with the next line."""
    if output is None and ends_s is None:
        return True
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    if output is not None:
        poller.register(output, 0)
    left_ms = None if ends_s is None else max(0.0, ends_s - time.monotonic()) * 1000
    ready = [descriptor for descriptor, _events in poller.poll(left_ms)]
    if output in ready:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
    return bool(ready)


def _reply(frame: bytes) -> FromDaemon:
    """Decodes one frame. Raises SnitchError for a refusal, and for what is no message."""
    try:
        reply = _decoder.decode(frame)
    except Malformed as error:
        raise error_of_malformed(error) from error
    if isinstance(reply, Refused):
        raise error_of_refusal(reply)
    return reply


def _connect(path: str | Path, timeout_s: float) -> socket.socket:
    with connecting(path) as sock:
        sock.settimeout(timeout_s)
        deadline_s = time.monotonic() + timeout_s
        while not knock(sock, path):
            if time.monotonic() >= deadline_s:
                raise TimeoutError
            time.sleep(AGAIN_S)
    return sock
