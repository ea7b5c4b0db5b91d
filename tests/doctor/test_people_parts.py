import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from tinysnitch import __version__
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.doctor import people_parts
from tinysnitch.doctor.finding import Finding, State
from tinysnitch.doctor.people_parts import find_people_parts, judge_status
from tinysnitch.protocol.messages import Mode, Status


def status(mode: Mode = Mode.BPF, *, not_enforcing: str = "", reason: str = "", version: str = __version__) -> Status:
    return Status(
        version=version,
        pid=7,
        mode=mode,
        mode_reason=reason,
        not_enforcing=not_enforcing,
        netns=1,
        cgroup="/",
        rules_file="/etc/tinysnitch.rules",
        uptime_s=1.0,
        rules=0,
        prompts=0,
        clients=1,
        hits=0,
        misses=0,
    )


def test_a_daemon_that_enforces_is_fine_and_others_are_not() -> None:
    assert judge_status(status()).state is State.OK
    assert judge_status(status(not_enforcing="rules are gone")).text == "rules are gone"
    assert judge_status(status(Mode.DEGRADED, reason="no BTF")).state is State.LACKING
    old = judge_status(status(version="0.0.9"))
    assert (old.state, old.mend) == (State.NOTE, "systemctl restart tinysnitchd")


def found(name: str) -> Finding:
    parts: Iterator[Finding] = find_people_parts("/run/nobody-listens", is_root=False)
    return next(part for part in parts if part.name == name)


class Screen(StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError("no descriptor")


@pytest.mark.parametrize(
    ("term", "encoding", "said"),
    [("dumb", "utf-8", "TERM is dumb"), ("", "utf-8", "TERM is not set"), ("xterm", "ascii", "its encoding is ascii")],
)
def test_a_terminal_that_shows_less(monkeypatch: pytest.MonkeyPatch, term: str, encoding: str, said: str) -> None:
    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(people_parts, "terminal_encoding", lambda: encoding)
    line = found("terminal")
    assert (line.state, line.text) == (State.NOTE, said)


def test_qt_that_does_not_load_names_the_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "PySide6").mkdir()
    (tmp_path / "PySide6/__init__.py").write_text("raise ImportError('libEGL.so.1: cannot open')\n")
    for name in [name for name in sys.modules if name.partition(".")[0] == "PySide6"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    assert found("Qt").text == "libEGL.so.1: cannot open"
    sys.modules.pop("PySide6", None)
    monkeypatch.setattr(people_parts, "find_spec", lambda _name: None)
    assert found("Qt").state is State.NOTE


def test_rules_that_cannot_be_looked_for_are_not_told_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_netfilter: object) -> bool:
        raise SnitchError("iptables is not installed")

    monkeypatch.setattr(people_parts.Netfilter, "is_present", refuse)
    line = next(find_people_parts("/run/nobody-listens", is_root=True))
    assert (line.state, line.follows) == (State.NOTE, "nothing is asked, nothing is held")
