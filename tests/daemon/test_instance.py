"""What tells one daemon from another."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from tests.bpf.packet_place import PacketPlace, entered
from tests.daemon.loop.driver_place import identity_of
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.scope import Scope
from tinysnitch.daemon.instance import Instance, claim, name_instance
from tinysnitch.kernel.netfilter.rules import chain_name
from tinysnitch.protocol.messages import Mode

LONGEST_CHAIN = 28  # XT_EXTENSION_MAXNAMELEN in include/uapi/linux/netfilter/x_tables.h, without the final zero
MAX_PID = 4194304  # PID_MAX_LIMIT in include/linux/threads.h


def queues_of(*instances: Instance) -> list[int]:
    return [queue for instance in instances for queue in (*instance.queues, instance.claim)]


def test_a_namespace_has_one_name_and_a_command_another() -> None:
    whole, other, command = (
        name_instance(1, Scope.MACHINE),
        name_instance(2, Scope.MACHINE),
        name_instance(1, Scope.COMMAND),
    )
    assert whole == name_instance(1, Scope.MACHINE)
    assert len({instance.pins for instance in (whole, other, command)}) == 3
    assert whole.label != command.label
    assert len(set(queues_of(whole, command))) == 6


@pytest.mark.parametrize("pid", [1, 9999, 10000, MAX_PID])
def test_names_and_numbers_fit(monkeypatch: pytest.MonkeyPatch, pid: int) -> None:
    monkeypatch.setattr(os, "getpid", lambda: pid)
    command = name_instance((1 << 64) - 1, Scope.COMMAND)
    assert all(0 < queue <= 0xFFFF for queue in queues_of(command))
    assert not set(queues_of(command)) & set(queues_of(name_instance(1, Scope.MACHINE)))
    assert len(chain_name(command.label, "REJECT")) <= LONGEST_CHAIN


@pytest.mark.privileged
def test_one_daemon_a_namespace() -> None:
    instance, command = name_instance(1, Scope.MACHINE), name_instance(1, Scope.COMMAND)
    with PacketPlace() as place:
        with entered(place.here), closing(claim(instance)), closing(claim(command)):
            with pytest.raises(SnitchError, match="runs in this network namespace already"):
                claim(instance)
            with entered(place.there):
                claim(instance).close()
        with entered(place.here):
            claim(instance).close()


def test_without_bpf_the_mode_is_degraded() -> None:
    assert identity_of(Path("rules")).mode is Mode.BPF
    assert identity_of(Path("rules"), degraded_because="no BTF").mode is Mode.DEGRADED
