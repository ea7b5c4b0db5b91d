"""The netfilter rules alone, without a daemon."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.lab.lab import Lab
from tinysnitch.core.errors import NotPermitted
from tinysnitch.daemon.iptables import iptables_add, iptables_remove

BIN = Path(sys.executable).parent


@pytest.mark.parametrize("command", [iptables_add, iptables_remove])
def test_only_root_may(command: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(NotPermitted):
        command.main([], standalone_mode=False)  # type: ignore[attr-defined]


@pytest.mark.privileged
def test_rules_come_once_and_go_without_a_trace(lab: Lab) -> None:
    def saved() -> list[str]:
        text = lab.run_outside(["iptables-save", "-t", "mangle"]).stdout
        return [line.partition(" [")[0] for line in text.splitlines() if not line.startswith("#")]

    def call(command: str) -> str:
        done = lab.run_outside([str(BIN / command)])
        assert (done.returncode, done.stdout) == (0, "")
        return done.stderr

    before = saved()
    added = "tinysnitch: netfilter rules added: what is new is dropped until tinysnitchd runs\n"
    assert call("tinysnitch-iptables-add") == added
    assert call("tinysnitch-iptables-add") == "tinysnitch: the netfilter rules are there already\n"
    assert sum("NFQUEUE" in line for line in saved()) > 0
    assert call("tinysnitch-iptables-remove") == "tinysnitch: netfilter rules removed\n"
    assert call("tinysnitch-iptables-remove") == "tinysnitch: there were no netfilter rules of tinysnitch\n"
    assert saved() == before


@pytest.mark.privileged
@pytest.mark.parametrize("family", ["iptables", "ip6tables"])
def test_a_family_that_one_who_was_killed_did_not_come_to_is_added(lab: Lab, family: str) -> None:
    """At a boot that takes long systemd ends what adds them, and starts it again."""
    add, save = [str(BIN / "tinysnitch-iptables-add")], [f"{family}-save", "-t", "mangle"]
    lab.run_outside(add)
    for table in ("mangle", "filter", "security"):
        for flag in ("-F", "-X"):
            lab.run_outside([family, "-t", table, flag])
    assert "NFQUEUE" not in lab.run_outside(save).stdout
    assert lab.run_outside(add).returncode == 0
    assert "NFQUEUE" in lab.run_outside(save).stdout
    assert lab.run_outside(add).stderr == "tinysnitch: the netfilter rules are there already\n"


@pytest.mark.privileged
def test_who_removes_them_beside_a_daemon_is_told_that_they_come_back(lab: Lab) -> None:
    lab.start_daemon("")
    done = lab.run_outside([str(BIN / "tinysnitch-iptables-remove")])
    assert (done.returncode, done.stderr) == (
        0,
        "tinysnitch: netfilter rules removed, but tinysnitchd runs here and puts them back: stop it first\n",
    )


def test_that_a_daemon_puts_them_back_is_no_surprise() -> None:
    said = " ".join(CliRunner().invoke(iptables_remove, ["--help"]).output.split())
    assert "A running tinysnitchd puts them back: stop it first." in said
