"""The netfilter rules alone, without a daemon."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.lab.lab import Lab
from tests.lab.world import WORLD4, WORLD6
from tinysnitch.core.model.errors import NotPermitted
from tinysnitch.daemon.startup.iptables import iptables_add, iptables_remove

BIN = Path(sys.executable).parent
CLOSED = Path(__file__).parents[3] / "packaging/tinysnitch-closed"
TIMED_OUT = 124


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
    """At a slow boot systemd kills the command that adds them, and runs it again."""
    add, save = [str(BIN / "tinysnitch-iptables-add")], [f"{family}-save", "-t", "mangle"]
    lab.run_outside(add)
    for table in ("mangle", "filter", "security"):
        for flag in ("-F", "-X"):
            lab.run_outside([family, "-t", table, flag])
    assert "NFQUEUE" not in lab.run_outside(save).stdout
    assert lab.run_outside(add).returncode == 0
    assert "NFQUEUE" in lab.run_outside(save).stdout
    assert lab.run_outside(add).stderr == "tinysnitch: the netfilter rules are there already\n"


DEEDS = (
    "iptables -t mangle -F",
    "ip6tables -t mangle -F INPUT",
    "iptables -t mangle -F TINYSNITCH-JUDGEOUT",
    "ip6tables -t security -F INPUT",
    "iptables -F; iptables -t security -F",
)


@pytest.mark.privileged
@pytest.mark.parametrize(("flags", "deeds"), [(["--no-bpf"], DEEDS[:1]), ([], DEEDS)], ids=["degraded", "bpf"])
def test_what_others_emptied_while_no_daemon_lived_is_added_again(
    lab: Lab, flags: list[str], deeds: tuple[str, ...]
) -> None:
    """If a chain of ours is still there but empty, everything passes."""
    lab.start_daemon("", *flags).kill()
    add, left = [str(BIN / "tinysnitch-iptables-add")], str(lab.folder / "left")
    assert lab.run_outside(add).stderr == "tinysnitch: the netfilter rules are there already\n"
    lab.run_outside(["sh", "-ec", f"iptables-save >{left}4; ip6tables-save >{left}6"])
    for deed in deeds:
        lab.run_outside(["sh", "-ec", f"iptables-restore <{left}4; ip6tables-restore <{left}6"])
        assert is_closed(lab)
        lab.run_outside(["sh", "-ec", deed])
        assert not is_closed(lab), deed
        assert lab.run_outside(add).stderr.startswith("tinysnitch: netfilter rules added: ")
        assert is_closed(lab), deed
    for place in (WORLD4, f"[{WORLD6}]"):
        assert lab.run(["timeout", "1", "curl", "-s", f"http://{place}/"]).returncode == TIMED_OUT


def is_closed(lab: Lab) -> bool:
    return lab.run_outside([str(CLOSED), "check"]).returncode == 0


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
