"""Sockets of our own, and a table that says whose they are."""

import socket
from collections.abc import Iterator

import pytest

from tests.kernel.attribution_table import DictTable
from tinysnitch.core.errors import SnitchError
from tinysnitch.kernel.bpf_structs import Owner
from tinysnitch.kernel.resolver_sockets import takes_questions
from tinysnitch.kernel.sockets import SocketDiag

SO_COOKIE = 57  # include/uapi/asm-generic/socket.h
RESOLVER, OTHER = 7, 8


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def bound(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family, address = request.param
    with socket.socket(family, socket.SOCK_DGRAM) as made:
        made.bind((address, 0))
        yield made


def test_who_has_a_socket_on_the_port_takes_questions(bound: socket.socket) -> None:
    table, port = DictTable(), bound.getsockname()[1]
    assert not takes_questions(table, RESOLVER, port)
    cookie = int.from_bytes(bound.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8), "little")
    table.owners[cookie] = Owner(RESOLVER, 1, 2, 0)
    assert takes_questions(table, RESOLVER, port)
    assert not takes_questions(table, OTHER, port)
    bound.close()
    assert not takes_questions(table, RESOLVER, port)


def test_where_the_kernel_lists_no_sockets_nobody_is_known_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_asked: object) -> None:
        raise SnitchError("no list")

    monkeypatch.setattr(SocketDiag, "list_sockets", fail)
    assert not takes_questions(DictTable(), RESOLVER)
