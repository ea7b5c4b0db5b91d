"""One client of the control socket. Whatever a client does, it can harm no more than its own connection.

1. Requests are answered in order, one reply object at a time, while the client reads and its turn lasts (Turns): all
   clients together have TURN_S of each turn of the loop, and packets are judged in between. A client with more work
   than fits waits behind all others that wait; and those go before new requests.
2. Pushes wait behind a reply that is under way; a client that lets too many wait is cut off.
3. `push` never begins a request: the engine is in the middle of its commands then, and the reply could come before that
   of an earlier request, or replace it.
4. A reply may pause (Pause) while a thread works for it. Pushes go on then; further requests wait.
5. A frame that is not a message is answered with Refused, and the connection ends.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol, cast

from tinysnitch.core.model.errors import Malformed, SnitchError
from tinysnitch.daemon.control.permissions import Right, read_peer
from tinysnitch.protocol.framing import FrameDecoder, FrameReader, encode_frame
from tinysnitch.protocol.messages import PROTOCOL, VERSION_HINT, Hello, Refused, Request, Welcome

TURN_S = 0.005
MAX_PUSHES = 4096  # lines and prompts that may wait for one client
# A client that sees everything may be sent all questions that can be open at once, each of them long.
MAX_PUSH_BYTES, MAX_OWN_PUSH_BYTES = 16 << 20, 1 << 20
MAX_INBOX = 64  # requests read but not begun; beyond that nothing more is read

_decoder: FrameDecoder[Request] = FrameDecoder(Request)


class Turns:
    def __init__(self) -> None:
        self._waiting: dict[Callable[[], None], None] = {}  # a dict for its order
        self._ends_s: float | None = None  # monotonic seconds: when this turn has no time left

    def has_time(self) -> bool:
        """Whether a piece of work may be begun in this turn of the loop."""
        now_s = time.monotonic()
        if self._ends_s is None:
            self._ends_s = now_s + TURN_S
            asyncio.get_running_loop().call_soon(self._begin)
        return now_s < self._ends_s

    def wait(self, work: Callable[[], None]) -> None:
        """Call this in a later turn, once there is time."""
        self._waiting[work] = None

    def _begin(self) -> None:
        self._ends_s = None
        while self._waiting and self.has_time():
            work = next(iter(self._waiting))
            del self._waiting[work]
            work()


class Pause:
    """Stands between the frames of a reply that is not ready: the next ones come once it is over. For the loop."""

    def __init__(self) -> None:
        self._is_over = False
        self._go_on: Callable[[], None] = lambda: None

    def end(self) -> None:
        self._is_over = True
        self._go_on()

    def then(self, go_on: Callable[[], None]) -> bool:
        """Whether it is over; if not `go_on` will be called."""
        self._go_on = go_on
        return self._is_over


class Clients(Protocol):
    malformed: int  # clients cut off after a frame that is no message
    slow: int  # cut off because they did not read their pushes

    def welcome(self, right: Right) -> Welcome: ...


class Server(Protocol):
    """What a client needs of the server that it belongs to."""

    turns: Turns

    @property
    def clients(self) -> Clients: ...

    def receive(self, peer: "ControlPeer", uid: int, gid: int) -> None:
        """Welcome or refuse a new client, now or later."""
        ...

    def forget(self, peer: "ControlPeer") -> None: ...

    def answer(self, peer: "ControlPeer", request: Request) -> Iterator[bytes | Pause]:
        """The frames that answer a request. Raises nothing."""
        ...


class ControlPeer(asyncio.Protocol):
    def __init__(self, server: Server, client_id: int) -> None:
        self.client_id = client_id
        self.right = Right(uid=-1, sees_all=False)  # covers nothing, until `welcome`
        self._server = server
        self._reader = FrameReader()
        self._inbox: deque[bytes] = deque()
        self._replies: Iterator[bytes | Pause] = iter(())
        self._has_pause = False  # of the replies
        self._pushes: deque[bytes] = deque()
        self._push_bytes = 0
        self._is_greeted = False
        # No request is answered before that: Python 3.11 may still read although reading was paused at once.
        self._is_welcome = False
        self._is_paused = False  # writing
        self._is_ended = False  # the client sends no more

    # Called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.pause_reading()  # until its right is known
        self._server.receive(self, *read_peer(transport.get_extra_info("socket")))

    def connection_lost(self, _error: Exception | None) -> None:
        self._server.forget(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._inbox.extend(self._reader.feed(data))
        except Malformed as error:
            self._end_malformed(error)
            return
        if len(self._inbox) > MAX_INBOX:
            self._transport.pause_reading()
        self._pump()

    def eof_received(self) -> bool:
        """The client sends no more but may still read: answer what it asked, then close (true keeps it open)."""
        self._is_ended = True
        self._pump()
        return True

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._pump()

    # Called by the server

    def welcome(self, right: Right) -> None:
        self.right = right
        self._is_welcome = True
        self._write(encode_frame(self._server.clients.welcome(right)))
        self._resume_reading()
        self._pump()

    def refuse(self, error: SnitchError) -> None:
        """Tell the client why it may not stay, and close."""
        self._end(Refused(str(error), error.hint, error.exit_code))

    def push(self, frame: bytes) -> None:
        """Send a frame that nobody asked for, behind a reply that is under way."""
        if self._transport.is_closing():
            return
        self._pushes.append(frame)
        self._push_bytes += len(frame)
        limit = MAX_PUSH_BYTES if self.right.sees_all else MAX_OWN_PUSH_BYTES
        if len(self._pushes) > MAX_PUSHES or self._push_bytes > limit:
            self._server.clients.slow += 1
            self._transport.abort()
            return
        self._send()

    def close(self) -> None:
        """Send the pushes that wait, unless a reply is under way, and close without waiting for a slow reader."""
        is_in_reply = next(self._replies, None) is not None
        while self._pushes and not (is_in_reply or self._transport.is_closing()):
            self._write(self._pushes.popleft())
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    # Replies and pushes

    def _pump(self) -> None:
        while self._is_welcome and self._send():
            if self._inbox:
                self._take_request()
            elif self._is_ended:
                self._transport.close()
            else:
                return

    def _send(self) -> bool:
        """Send what waits; whether all of it was sent and there is time for another request."""
        while not self._is_paused and not self._transport.is_closing():
            if not self._server.turns.has_time():
                self._server.turns.wait(self._pump)
                return False
            frame = self._next_reply() or self._next_push()
            if frame is None:
                return not self._has_pause
            self._write(frame)
        return False

    def _next_reply(self) -> bytes | None:
        while not self._has_pause:
            found = next(self._replies, None)
            if not isinstance(found, Pause):
                return found
            self._has_pause = not found.then(self._end_pause)
        return None

    def _end_pause(self) -> None:
        self._has_pause = False
        self._pump()

    def _write(self, frame: bytes) -> None:
        """Raises nothing: a push goes to other clients too."""
        try:
            self._transport.write(frame)
        except OSError:  # epoll_ctl(2): the client does not take it all now, and we cannot wait for it
            self._server.clients.slow += 1
            self._transport.abort()

    def _next_push(self) -> bytes | None:
        if not self._pushes:
            return None
        frame = self._pushes.popleft()
        self._push_bytes -= len(frame)
        return frame

    def _take_request(self) -> None:
        frame = self._inbox.popleft()
        if not self._inbox and not self._transport.is_reading():
            self._resume_reading()
        try:
            request = _decoder.decode(frame)
        except Malformed as error:
            self._end_malformed(error)
            return
        if isinstance(request, Hello) is self._is_greeted:
            self._end(Refused("the first message must be hello, and no other", "use the tinysnitch commands"))
        elif isinstance(request, Hello):
            self._greet(request)
        else:
            self._replies = self._server.answer(self, request)

    def _resume_reading(self) -> None:
        try:
            self._transport.resume_reading()
        except OSError:  # epoll_ctl(2): we would never hear of the client again, not even of its end
            self._transport.abort()
            raise

    def _greet(self, hello: Hello) -> None:
        self._is_greeted = True
        if hello.protocol != PROTOCOL:
            self._end(_other_version(hello))

    def _end_malformed(self, error: Malformed) -> None:
        self._server.clients.malformed += 1
        self._end(Refused(f"the daemon does not understand what it is asked: {error}", VERSION_HINT))

    def _end(self, refusal: Refused) -> None:
        """Tell the client why, and close once that is sent."""
        self._pushes.clear()
        self._write(encode_frame(refusal))
        self.close()


def _other_version(hello: Hello) -> Refused:
    return Refused(
        f"this client is tinysnitch {hello.version} (protocol {hello.protocol}), "
        f"the daemon is {Welcome().version} (protocol {PROTOCOL}), and they do not understand each other",
        VERSION_HINT,
    )
