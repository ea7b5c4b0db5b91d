"""The command line of tinysnitchd."""

import asyncio
import os
from contextlib import ExitStack
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.shortage import no_thread_left
from tinysnitch import __version__
from tinysnitch.commandline.command_runner import run_command
from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.core.model.scope import Scope
from tinysnitch.daemon.options import Options, SettingsRead
from tinysnitch.daemon.startup import lifecycle
from tinysnitch.daemon.startup import main as daemon_main
from tinysnitch.daemon.startup.iptables import iptables_add, iptables_remove
from tinysnitch.daemon.startup.main import tinysnitchd
from tinysnitch.qt.start.main import tinysnitch_prompt
from tinysnitch.trace.command import trace


@pytest.fixture
def _no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.mark.usefixtures("_no_root")
def test_who_is_not_root_is_told_so() -> None:
    result = CliRunner().invoke(tinysnitchd, [])
    assert isinstance(result.exception, NotPermitted)


@pytest.mark.usefixtures("_no_root")
@pytest.mark.parametrize("words", [["--state-dir", "/etc"], ["--lists", "/etc"], ["--rules", "/etc/passwd"]])
def test_that_comes_before_what_they_may_not_read(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_what: False)
    assert isinstance(CliRunner().invoke(tinysnitchd, words).exception, NotPermitted)


@pytest.mark.parametrize("command", [tinysnitchd, trace, iptables_add, iptables_remove, tinysnitch_prompt])
def test_every_version_has_one_form(command: click.Command) -> None:
    name, version = CliRunner().invoke(command, ["--version"]).output.split()
    assert (name[:10], version) == ("tinysnitch", __version__)


def test_a_place_is_named_by_what_it_is() -> None:
    said = CliRunner().invoke(tinysnitchd, ["--help"]).output
    assert [f"--{place} " in said for place in ("rules FILE", "state-dir DIRECTORY", "socket PATH")] == [True] * 3


@pytest.mark.parametrize("seconds", ["soon", "-1", "nan", "inf", "86401"])
def test_what_is_no_timeout(seconds: str) -> None:
    result = CliRunner().invoke(tinysnitchd, ["--timeout", seconds])
    assert result.exit_code == 2
    assert "not a number of seconds" in result.output


def test_what_is_no_resolver() -> None:
    result = CliRunner().invoke(tinysnitchd, ["--resolver", "9.9.9.9", "--resolver", "dns.quad9.net"])
    assert result.exit_code == 2
    assert "'dns.quad9.net' is not an address" in result.output


@pytest.mark.usefixtures("_no_root")
@pytest.mark.parametrize("option", ["--config-dir", "--rules", "--lists", "--state-dir", "--socket", "--cgroup"])
def test_what_is_no_path(option: str) -> None:
    result = CliRunner().invoke(tinysnitchd, [option, ""])
    assert result.exit_code == 2
    assert "the path is empty" in result.output


@pytest.mark.usefixtures("_no_root")
def test_a_wrong_place_has_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(tinysnitchd, "tinysnitchd", ["--rules", "/tmp"]) == 2
    assert capsys.readouterr().err.endswith("is a directory\ntinysnitch: hint: name a file, not a folder\n")


def test_what_went_wrong_is_said_where_the_end_finds_no_thread(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service may have too small a TasksMax=; then iptables-save cannot be run either."""

    async def run_daemon(_settings: SettingsRead, _again: object) -> None:
        await asyncio.to_thread(lambda: None)
        short.enter_context(no_thread_left())
        raise SnitchError("the netfilter rules stay")

    monkeypatch.setattr(lifecycle, "run_daemon", run_daemon)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with ExitStack() as short:
        assert run_command(tinysnitchd, "tinysnitchd", []) == 1
    assert capsys.readouterr().err == "tinysnitch: error: the netfilter rules stay\n"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """The options of the daemons that would have been started."""
    starts: list[Options] = []

    async def run_daemon(settings: SettingsRead, _again: object) -> None:
        starts.append(settings.options)

    monkeypatch.setattr(lifecycle, "run_daemon", run_daemon)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return starts


@pytest.mark.parametrize("flags", [[], ["--learn"]])
def test_the_daemon_of_one_command_does_not_start_on_wrong_rules(
    flags: list[str], started: list[Options], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / "rules"
    rules.write_text("deny - - -\nalow - - -\n")
    words = ["--rules", str(rules), *flags]
    with pytest.raises(SnitchError, match="rules has one error") as refused:
        tinysnitchd.main(["--scoped", *words], standalone_mode=False)
    assert refused.value.hint
    said = capsys.readouterr().err
    assert said.startswith(f"tinysnitch: error: {rules}:2:1: not a verdict\ntinysnitch: hint: did you mean 'allow'?\n")
    assert started == []
    tinysnitchd.main(words, standalone_mode=False)
    rules.write_text("deny - - -\n")
    tinysnitchd.main(["--scoped", *words], standalone_mode=False)
    assert [options.scope for options in started] == [Scope.MACHINE, Scope.COMMAND]


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("is_there", [True, False])
def test_the_daemon_of_one_command_takes_its_folder_away(tmp_path: Path, is_there: bool) -> None:
    folder = tmp_path / "run"
    if is_there:
        (folder / "state").mkdir(parents=True)
    words = ["--scoped", "--run-folder", str(folder), "--rules", str(tmp_path / "none")]
    tinysnitchd.main(words, standalone_mode=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_no_root")
def test_usage_and_root_from_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, exit_code in (
        (["tinysnitchd", "--nonsense"], 2),
        (["tinysnitchd", "--cgroup", "/nope"], 2),
        (["tinysnitchd"], 4),
        (["tinysnitchd", "--help"], 0),
    ):
        monkeypatch.setattr("sys.argv", words)
        with pytest.raises(SystemExit) as end:
            daemon_main.main()
        assert end.value.code == exit_code
    assert "with sudo" in capsys.readouterr().err
