"""Who has which port, in the maps that bpf/listener.bpf.h keeps: what was there before, and what a miss found out."""

from typing import NamedTuple

from msgspec.structs import asdict

from tinysnitch.kernel.bpf_maps import BpfMaps
from tinysnitch.kernel.bpf_settings import BpfSettings
from tinysnitch.kernel.bpf_structs import Listener, Owner
from tinysnitch.kernel.libbpf import BPF_EXIST, BPF_NOEXIST, Fields


class OwnedSocket(NamedTuple):
    """As `struct owned_socket`."""

    exec_id: int
    started_ns: int
    pid: int
    uid: int
    watch: int
    let_go_port: int
    is_let_go: int
    may_be_bound: int
    let_go_to: bytes


_NEVER_SEEN = OwnedSocket(0, 0, 0, 0, watch=0, let_go_port=0, is_let_go=0, may_be_bound=1, let_go_to=bytes(16))


class TakenPort(NamedTuple):
    """As `struct listener`."""

    cookie: int
    exec_id: int
    started_ns: int
    pid: int
    uid: int
    members: int
    is_shared: int

    def is_of(self, owner: Owner) -> bool:
        """Whatever process of the program."""
        return (self.exec_id, self.uid) == (owner.exec_id, owner.uid)

    def change(self, members: int, *, is_shared_now: bool = False) -> "TakenPort":
        """Once it is shared, each change is another state."""
        return self._replace(members=members, is_shared=self.is_shared + (is_shared_now or self.is_shared > 0))


class ListenerTable:
    def __init__(self, maps: BpfMaps, settings: BpfSettings) -> None:
        self._maps = maps
        self._settings = settings

    def expect_all(self) -> None:
        """All that are there are seeded now: what an earlier daemon had no room for is no reason for doubt any more."""
        self._settings.set_lost_listeners(False)

    def seed(self, key: Fields, listener: Listener) -> bool:
        """Where the port is known already the socket is one more that takes it. False: the socket is known too.

        True: see that it is still open, and else `withdraw`. `key`: as `struct listener_key`.
        """
        is_shared = int(self._settings.has_lost_listeners)
        port = TakenPort(listener.cookie, **asdict(listener.owner), members=1, is_shared=is_shared)
        self._expect_binding(listener.cookie)
        is_new = self._maps.listeners.write(key, port, BPF_NOEXIST)
        is_first = self._maps.bindings.write((listener.cookie,), key, BPF_NOEXIST)
        if self._maps.listeners.turned_away or self._maps.bindings.turned_away:
            self._settings.set_lost_listeners(True)
        if is_first and not is_new:
            self._join(key, listener.owner)
        return is_first

    def withdraw(self, cookie: int) -> None:
        """It was closed before it was seeded, which no hook tells. As forget_listener() in bpf/listener.bpf.h."""
        key = self._maps.bindings.find(cookie)
        if key is not None and self._maps.bindings.delete(cookie):
            self._leave(key)

    def hand_over(self, cookie: int, owner: Owner) -> None:
        """Somebody else uses the socket now. As hand_over() in bpf/handover.bpf.h."""
        found = self._maps.sockets.find(cookie)
        socket = OwnedSocket(*found) if found else _NEVER_SEEN
        self._maps.sockets.write((cookie,), socket._replace(**asdict(owner)))
        key = self._maps.bindings.find(cookie)
        port = self._find(key) if key else None
        if key is not None and port is not None:
            changed = port.change(port.members, is_shared_now=port.members > 1 and not port.is_of(owner))
            is_first = port.cookie == cookie  # the others of the group may stay with who had this one
            self._maps.listeners.write(key, changed._replace(**asdict(owner)) if is_first else changed)

    def _find(self, key: Fields) -> TakenPort | None:
        found = self._maps.listeners.find(*key)
        return TakenPort(*found) if found else None

    def _expect_binding(self, cookie: int) -> None:
        """The kernel's side may have seen the socket, and not how it got its port: it asks for that at close."""
        found = self._maps.sockets.find(cookie)
        socket = OwnedSocket(*found) if found else None
        if socket is not None and not socket.may_be_bound:
            self._maps.sockets.write((cookie,), socket._replace(may_be_bound=1), BPF_EXIST)

    def _join(self, key: Fields, owner: Owner) -> None:
        """As join_listener() in bpf/listener.bpf.h."""
        port = self._find(key)
        if port is not None:
            self._maps.listeners.write(key, port.change(port.members + 1, is_shared_now=not port.is_of(owner)))

    def _leave(self, key: Fields) -> None:
        """As leave_listener() in bpf/listener.bpf.h."""
        port = self._find(key)
        if port is not None and port.members == 1:
            self._maps.listeners.delete(*key)
        elif port is not None:
            self._maps.listeners.write(key, port.change(port.members - 1))
