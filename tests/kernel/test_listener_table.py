"""The values that both sides write; what becomes of them in the maps: test_bpf_programs.py."""

from typing import NamedTuple

import pytest

from tinysnitch.kernel.bpf_structs import LISTENER, OWNED_SOCKET, Layout, Owner
from tinysnitch.kernel.listener_table import OwnedSocket, TakenPort

PORT = TakenPort(cookie=1, exec_id=100, started_ns=5, pid=6, uid=1000, members=1, is_shared=0)


@pytest.mark.parametrize(("value", "layout"), [(OwnedSocket, OWNED_SOCKET), (TakenPort, LISTENER)])
def test_the_fields_stand_as_in_the_kernels_struct(value: type[NamedTuple], layout: Layout) -> None:
    assert list(value._fields) == [name.rpartition(".")[2] for name in layout.fields]


def test_a_port_is_of_whatever_process_of_the_program_and_user() -> None:
    owners = [Owner(exec_id, 7, 8, uid) for exec_id, uid in ((100, 1000), (100, 0), (101, 1000))]
    assert [PORT.is_of(owner) for owner in owners] == [True, False, False]


def test_once_a_port_is_shared_each_change_is_another_state() -> None:
    alone = PORT.change(2)
    shared = alone.change(3, is_shared_now=True)
    assert (alone.members, alone.is_shared) == (2, 0)
    assert (shared.is_shared, shared.change(2).is_shared, shared.change(4, is_shared_now=True).is_shared) == (1, 2, 2)
