"""Stays attached to the daemon, also through its restarts, in Qt's own loop, without polling while it is connected."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from PySide6.QtCore import QSocketNotifier, QTimer

from tinysnitch.client.knock import connect_at_once
from tinysnitch.client.prompt_client import RETRY_S, PromptClient
from tinysnitch.client.user_names import find_user
from tinysnitch.commandline.notes import print_note
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.view.prompt_events import DaemonGreeted, Event, ToDaemon

_CHUNK = 65536
_Kind = QSocketNotifier.Type


E = TypeVar("E")  # what is told
E_co = TypeVar("E_co", covariant=True)


class Client(Protocol[E_co]):
    """What a link needs of a client without a socket."""

    unsent: bytearray

    def wait_for_room(self, now: float, /) -> float: ...

    def receive(self, data: bytes, boot_s: float, /) -> Iterator[E_co]: ...

    def end(self, error: SnitchError, /) -> Iterator[E_co]: ...


class QtLink(Generic[E]):
    """`tell` is called with each event; `fail` with an error that connecting again cannot help, as NotPermitted."""

    def __init__(
        self, path: str | Path, client: Client[E], tell: Callable[[E], None], fail: Callable[[SnitchError], None]
    ) -> None:
        self._path = path
        self._tell = tell
        self._fail = fail
        self._client = client
        self._socket: socket.socket | None = None
        self._notifiers: dict[_Kind, QSocketNotifier] = {}
        self._is_told = False  # it was printed that there is no daemon
        self._retry = QTimer()
        self._retry.setSingleShot(True)
        self._retry.timeout.connect(self.start)

    def start(self) -> None:
        """Connect, and connect again whenever the connection ends."""
        try:
            self._socket = connect_at_once(self._path)
            if self._socket is None:
                self._start_in(self._client.wait_for_room(time.monotonic()))
                return
        except SnitchError as error:
            self._end(error)
            return
        for kind, act in ((_Kind.Read, self._read), (_Kind.Write, self._write)):
            self._notifiers[kind] = QSocketNotifier(self._socket.fileno(), kind)
            self._notifiers[kind].activated.connect(act)
        self._notifiers[_Kind.Write].setEnabled(False)

    def _start_in(self, wait_s: float) -> None:
        self._retry.start(round(wait_s * 1000))

    def close(self) -> None:
        self._retry.stop()
        for notifier in self._notifiers.values():
            notifier.setEnabled(False)
        self._notifiers.clear()
        if self._socket:
            self._socket.close()
            self._socket = None

    def _pass_on(self, events: Iterator[E]) -> None:
        """Tell the events, and send what the client has to say now."""
        for event in events:
            if isinstance(event, DaemonGreeted):
                self._is_told = False
            self._tell(event)
        self._write()

    def _write(self) -> None:
        """Send what the socket takes, and the rest once it has room: one key may answer hundreds of questions."""
        if self._socket is None:
            return
        unsent = self._client.unsent
        try:
            del unsent[: self._socket.send(unsent)]
        except BlockingIOError:
            pass
        except OSError:
            unsent.clear()  # the daemon is gone, as the next read tells, after what it said before
        self._notifiers[_Kind.Write].setEnabled(bool(unsent))

    def _read(self) -> None:
        try:
            data = self._socket.recv(_CHUNK) if self._socket else b""
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            self._pass_on(self._client.receive(data, time.clock_gettime(time.CLOCK_BOOTTIME)))
        except SnitchError as error:
            self._end(error)

    def _end(self, error: SnitchError) -> None:
        self.close()
        try:
            self._pass_on(self._client.end(error))
        except SnitchError:
            self._fail(error)
            return
        self._start_in(RETRY_S)
        if not self._is_told:  # with no question open no window could show it: a wrong --socket would not be noticed
            self._is_told = True
            print_note(f"{error}; trying again each second")


class QtDaemonLink(QtLink[Event]):
    """Attached, for questions and answers."""

    def __init__(self, path: str | Path, tell: Callable[[Event], None], fail: Callable[[SnitchError], None]) -> None:
        self._prompt = PromptClient(path, find_user)
        super().__init__(path, self._prompt, tell, fail)

    def answer(self, given: ToDaemon) -> None:
        self._pass_on(self._prompt.answer(given))
