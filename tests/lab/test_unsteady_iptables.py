"""iptables fails now and then: its lock is held, no process can be started, or another firewall loads its rules."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bpf.packet_place import LABEL, QUEUES, PacketPlace, entered
from tests.lab.lab import Lab
from tests.lab.world import WORLD4
from tinysnitch.kernel.netfilter import firewall as netfilter_module
from tinysnitch.kernel.netfilter import iptables
from tinysnitch.kernel.netfilter.firewall import Netfilter
from tinysnitch.kernel.netfilter.saved_rules import render_removal

pytestmark = [pytest.mark.privileged]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[PacketPlace]:
    monkeypatch.setattr(iptables, "_PAUSES_S", (0.0, 0.0))
    with PacketPlace() as made, entered(made.here):
        yield made


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str, calls: tuple[int, ...]) -> None:
    """Make a program fail at its calls with these numbers, counted from 0, and do nothing."""
    number, run = iter(range(1000)), iptables._call

    def call(command: list[str], text: str = "") -> object:
        fails = command[0] == name and next(number) in calls
        return run(["false"] if fails else command, text)

    monkeypatch.setattr(iptables, "_call", call)


@pytest.mark.parametrize("calls", [(0,), (0, 1)])
def test_a_failure_costs_no_table(place: PacketPlace, monkeypatch: pytest.MonkeyPatch, calls: tuple[int, ...]) -> None:
    before, ours = place.save(), Netfilter(LABEL, QUEUES, None)
    fail_at(monkeypatch, "iptables-restore", calls)
    fail_at(monkeypatch, "ip6tables-restore", calls)
    ours.add()
    assert place.save().count("*security") == 2
    assert not ours.lacks_security()
    fail_at(monkeypatch, "iptables-restore", calls)
    fail_at(monkeypatch, "ip6tables-save", calls)
    ours.remove()
    assert place.save() == before


NO_RESTORE = """#!/bin/sh
cat >"$0.input"
! grep -q '^[*]security' "$0.input" && exec {real} "$@" <"$0.input"
exit 2
"""
NO_TABLE = """#!/bin/sh
case "$*" in *security*) exit 3;; esac
exec {real} "$@"
"""


def test_that_the_kernel_has_no_security_table_is_said(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lab.folder / "old-kernel"
    folder.mkdir()
    for name in ("iptables", "ip6tables"):
        for program, script in ((name, NO_TABLE), (f"{name}-restore", NO_RESTORE)):
            (folder / program).write_text(script.format(real=shutil.which(program)))
            (folder / program).chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        daemon = lab.start_daemon("deny - 80 tcp\n")
    assert "no security table in this kernel" in daemon.describe()
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 7
    assert daemon.stop() == 0
    assert "TINYSNITCH" not in lab.run_outside(["iptables-save"]).stdout


def test_our_rules_are_removed_although_the_first_look_afterwards_fails(
    place: PacketPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = place.save()
    Netfilter(LABEL, QUEUES, None).add()
    fail_at(monkeypatch, "iptables-save", (1,))  # the first one after the rules were removed
    Netfilter(LABEL, QUEUES, None).remove()  # a new object: it knows only what the comments among the rules say
    assert place.save() == before


def test_another_firewall_may_flush_while_we_remove(place: PacketPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(saved: str, label: str) -> str:
        place.run("iptables", "-t", "mangle", "-F", "OUTPUT")
        return render_removal(saved, label)

    ours = Netfilter(LABEL, QUEUES, None)
    ours.add()
    monkeypatch.setattr(netfilter_module, "render_removal", late)
    ours.remove()
    assert LABEL not in place.save()


def test_rules_for_ipv6_are_missed_and_added_when_ipv6_comes_later(
    place: PacketPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = netfilter_module._IF_INET6
    monkeypatch.setattr(netfilter_module, "_IF_INET6", Path("/nowhere"))
    ours = Netfilter(LABEL, QUEUES, None)
    ours.add()
    assert ours.is_whole()
    monkeypatch.setattr(netfilter_module, "_IF_INET6", there)
    assert not ours.is_whole()
    ours.add_again()
    assert ours.is_whole()
