"""The netfilter rules alone, without a daemon."""

import sys
from pathlib import Path

import pytest

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

    before = saved()
    for _ in range(2):
        assert lab.run_outside([str(BIN / "tinysnitch-iptables-add")]).returncode == 0
    assert sum("NFQUEUE" in line for line in saved()) > 0
    for _ in range(2):
        assert lab.run_outside([str(BIN / "tinysnitch-iptables-remove")]).returncode == 0
    assert saved() == before
