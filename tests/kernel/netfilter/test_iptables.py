import errno
import logging
import os
import signal
import subprocess
from contextlib import nullcontext
from pathlib import Path
from threading import Thread

import pytest

from tests.bpf.packet_place import PacketPlace, entered
from tests.lab.patience import WAIT_S
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.netfilter import iptables
from tinysnitch.kernel.netfilter.rules import Family


@pytest.mark.privileged
def test_which_tables_this_kernel_has(packet_place: PacketPlace) -> None:
    with entered(packet_place.here):
        assert iptables.has_table(Family.V4, "mangle")
        assert not iptables.has_table(Family.V6, "nosuch")


@pytest.mark.parametrize(("failures", "is_done"), [(0, True), (2, True), (3, False)])
def test_a_few_failures_are_none(monkeypatch: pytest.MonkeyPatch, failures: int, is_done: bool) -> None:
    monkeypatch.setattr(iptables, "_PAUSES_S", (0.0, 0.0))
    tries = []

    def work() -> None:
        tries.append("")
        if len(tries) <= failures:
            raise SnitchError(f"busy {len(tries)}")

    if is_done:
        iptables.insist(work)
    else:
        with pytest.raises(SnitchError, match=f"busy {failures}"):
            iptables.insist(work)
    assert len(tries) == min(failures + 1, 3)


def test_no_iptables_is_said_with_a_hint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(iptables, "_SBIN", str(tmp_path))
    with pytest.raises(SnitchError, match="is not installed") as refused:
        iptables.save(Family.V4)
    assert "install the package iptables" in refused.value.hint


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EAGAIN, errno.ENOMEM])
def test_what_cannot_be_started_is_said_with_a_hint(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_words: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(SnitchError, match=f"iptables-save cannot be started: {os.strerror(number)}") as refused:
        iptables.save(Family.V4)
    assert refused.value.hint


@pytest.mark.parametrize("limit_s", [60.0, 0.2])
def test_what_takes_long_is_told_and_ended_after_a_while(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture, limit_s: float
) -> None:
    """People wait for it at a start and an end; for other threads nobody waits."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(iptables, "_PATIENCE_S", 0.1)
    monkeypatch.setattr(iptables, "_LIMIT_S", limit_s)
    script = tmp_path / "iptables-restore"
    script.write_text("#!/bin/sh\nsleep 0.5\ncat >$0.got\n")
    script.chmod(0o755)
    is_ended = limit_s < 1
    refusal = pytest.raises(SnitchError, match="took more than 0") if is_ended else nullcontext()
    with refusal, caplog.at_level(logging.WARNING):
        iptables.restore(Family.V4, "rules")
    assert caplog.messages == ["iptables-restore takes long; waiting for it, a minute at most"]
    if not is_ended:
        assert (tmp_path / "iptables-restore.got").read_text() == "rules"
        beside = Thread(target=iptables.restore, args=(Family.V4, ""), daemon=True)
        beside.start()
        beside.join(WAIT_S)
        assert len(caplog.messages) == 1


@pytest.mark.privileged
def test_iptables_is_found_with_the_path_that_su_leaves(
    packet_place: PacketPlace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with entered(packet_place.here):
        assert iptables.save(Family.V4) == ""


def test_a_control_c_in_the_terminal_does_not_reach_iptables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    script = tmp_path / "iptables-save"
    script.write_text("#!/bin/sh\nps -o pgid= -p $$\n")
    script.chmod(0o755)
    assert int(iptables.save(Family.V4)) not in (0, os.getpgid(0))


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT", "USR1"])
def test_nor_does_one_that_comes_before_it_has_left_our_group(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """While a key is held, each program that we start at our end would get the signal, on a busy machine."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    script = tmp_path / "iptables-save"
    script.write_text(f"#!/bin/sh\nkill -{name} $$\necho saved\n")
    script.chmod(0o755)
    usual = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert iptables.save(Family.V4) == "saved\n"
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == usual


@pytest.mark.parametrize(
    ("problem", "exit_code", "hint"),
    [
        ("iptables-save v1.8.11: Permission denied (you must be root)", 4, "CAP_NET_ADMIN"),
        ("iptables: Operation not permitted.", 4, "CAP_NET_ADMIN"),
        ("iptables: No chain/target/match by that name.", 1, "modules"),
        ("line 15: CHAIN_ADD failed (Operation not supported): chain INPUT", 1, "give that table another name"),
        ("line 101: CHAIN_ADD failed (File exists): chain OUTPUT", 1, "chain OUTPUT"),
        ("line 15: CHAIN_ADD failed (No such file or directory): chain INPUT", 1, "modules"),
    ],
)
def test_what_iptables_refuses_is_told_with_what_may_help(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, problem: str, exit_code: int, hint: str
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    script = tmp_path / "iptables-save"
    script.write_text(f"#!/bin/sh\necho '{problem}' >&2\nexit 4\n")
    script.chmod(0o755)
    with pytest.raises(SnitchError, match="iptables-save: ") as refused:
        iptables.save(Family.V4)
    assert refused.value.exit_code == exit_code
    assert hint in refused.value.hint


def restore_where_it_says(said: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> SnitchError:
    """The error when iptables-restore prints this and fails."""
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    script = folder / "iptables-restore"
    script.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{said}\nEND\nexit 1\n")
    script.chmod(0o755)
    with pytest.raises(SnitchError) as refused:
        iptables.restore(Family.V4, "")
    return refused.value


# As iptables 1.8.11 says it: a library of its own is missing, or the kernel has no tables for the older backend.
ADVICE = "Error occurred at line: 1\nTry `iptables-restore -h' or 'iptables-restore --help' for more information."
NO_LIBRARY = "iptables-restore v1.8.11 (nf_tables): Couldn't load match `bpf':No such file or directory"
NO_TABLE = "iptables-restore v1.8.11 (legacy): iptables-restore: unable to initialize table 'mangle'"


@pytest.mark.parametrize(
    ("problem", "hint"),
    [(NO_LIBRARY, "modules"), (NO_TABLE, "update-alternatives --set iptables /usr/sbin/iptables-nft")],
)
def test_the_problem_is_told_and_not_what_stands_below_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, problem: str, hint: str
) -> None:
    refused = restore_where_it_says(f"{problem}\n\n{ADVICE}", monkeypatch, tmp_path)
    assert str(refused) == f"iptables-restore: {problem}"
    assert hint in refused.hint


# As iptables-restore 1.8.11 says it for an extension that this kernel lacks (`-m ipvs`), nf_tables and legacy.
LACKING = "Warning: Extension bpf revision 0 not supported, missing kernel module?"
NFT = (
    f"{LACKING}\niptables-restore v1.8.11 (nf_tables): \n"
    "line 12: RULE_APPEND failed (No such file or directory): rule in chain TINYSNITCH-OUT"
)
LEGACY = f"{LACKING}\n{LACKING.replace('bpf', 'NFQUEUE')}\n{LACKING}\niptables-restore: line 12 failed"


@pytest.mark.privileged
def test_a_match_that_the_kernel_lacks(
    packet_place: PacketPlace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with entered(packet_place.here):
        iptables.check_match("bpf")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    script = tmp_path / "iptables"
    script.write_text(f"#!/bin/sh\necho '{LACKING}' >&2\nexit 2\n")
    script.chmod(0o755)
    with pytest.raises(SnitchError, match="modprobe xt_bpf"):
        iptables.check_match("bpf")


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (NFT, ": rule in chain TINYSNITCH-OUT (the kernel lacks the extension bpf)"),
        (LEGACY, ": line 12 failed (the kernel lacks the extension bpf, NFQUEUE)"),
    ],
)
def test_what_of_netfilter_the_kernel_lacks_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, problem: str
) -> None:
    refused = restore_where_it_says(said, monkeypatch, tmp_path)
    assert str(refused).endswith(problem)
    assert "modules" in refused.hint
