"""Connections are ended by what they are and whose they are, on the real kernel."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import msgspec
import pytest

from tests.core.engine.transcript import CURL
from tests.daemon.requests.small_handler import ALICE, ROOT
from tinysnitch.core.model.errors import NotUnderstood, SnitchError
from tinysnitch.core.model.flow import Direction, Flow
from tinysnitch.core.model.process import AttributedPacket, Attribution
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.daemon.requests.connection_end import end_connections
from tinysnitch.kernel.netlink.sock_diag import SocketDiag
from tinysnitch.protocol.messages import EndConnections


class OneOwner:
    """All sockets are of one program."""

    def __init__(self, attribution: Attribution = CURL, cookie: int = 0) -> None:
        self._packet = AttributedPacket(attribution, cookie)

    def attribute(self, _flow: Flow) -> AttributedPacket:
        return self._packet


@contextmanager
def connections(count: int) -> Iterator[tuple[int, list[socket.socket]]]:
    """The port of a server, and clients of it."""
    with ExitStack() as opened:
        server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = server.getsockname()[1]
        yield port, [opened.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]


def send_much(client: socket.socket) -> None:
    for _ in range(100):
        client.send(b"x")


def wanted(port: int, **more: object) -> EndConnections:
    values = {
        "program": "/usr/bin/curl",
        "remote_address": "127.0.0.1",
        "port": port,
        "protocol": "tcp",
        "direction": Direction.OUTBOUND,
    }
    return EndConnections(**(values | more))  # type: ignore[arg-type]


def end(asked: EndConnections, right: Right = ROOT, owner: OneOwner | None = None) -> int:
    return end_connections(asked, right, owner or OneOwner())  # type: ignore[arg-type]


@pytest.mark.privileged
def test_all_connections_of_the_program_with_the_remote_are_ended_and_no_others() -> None:
    with connections(2) as (port, clients), connections(1) as (_other, (kept,)):
        assert end(wanted(port)) == 2
        for client in clients:
            with pytest.raises(ConnectionAbortedError):
                client.send(b"x")
        kept.send(b"x")
        assert end(wanted(port)) == 0


@pytest.mark.privileged
def test_whoever_may_not_see_them_ends_none() -> None:
    other = Right(ALICE.uid + 1, sees_all=False)
    with connections(1) as (port, (client,)):
        assert end(wanted(port), other) == 0
        assert end(wanted(port, program="/usr/bin/wget")) == 0
        assert end(wanted(port), owner=OneOwner(cookie=7)) == 0, "the note is of another socket"
        client.send(b"x")
        assert end(wanted(port), ALICE) == 1


@pytest.mark.privileged
def test_what_came_in_is_ended_by_our_port() -> None:
    with connections(1) as (port, (client,)):
        assert end(wanted(port, direction=Direction.INBOUND)) >= 1
        with pytest.raises(OSError, match=r"reset|aborted|pipe"):
            send_much(client)


def test_what_cannot_be_ended_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SnitchError, match="only connections of tcp"):
        end(wanted(1, protocol="udp"))
    with pytest.raises(NotUnderstood, match="is no address"):
        end(msgspec.structs.replace(wanted(1), remote_address="shop.test"))
    monkeypatch.setattr(SocketDiag, "end_connection", lambda *_: False)
    with connections(1) as (port, _clients), pytest.raises(SnitchError, match="the kernel ended none"):
        end(wanted(port))
