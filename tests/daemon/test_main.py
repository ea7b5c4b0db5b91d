"""The command line of tinysnitchd, and how commands end."""

import os

import click
import pytest
from click.testing import CliRunner

from tinysnitch.core.errors import NotPermitted, SnitchError
from tinysnitch.daemon import main as daemon_main
from tinysnitch.daemon.main import run_command, tinysnitchd


@pytest.fixture
def _no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.mark.usefixtures("_no_root")
def test_who_is_not_root_is_told_so() -> None:
    result = CliRunner().invoke(tinysnitchd, [])
    assert isinstance(result.exception, NotPermitted)


@pytest.mark.parametrize("seconds", ["soon", "-1", "nan", "inf", "86401"])
def test_what_is_no_timeout(seconds: str) -> None:
    result = CliRunner().invoke(tinysnitchd, ["--timeout", seconds])
    assert result.exit_code == 2
    assert "not a number of seconds" in result.output


def test_what_is_no_resolver() -> None:
    result = CliRunner().invoke(tinysnitchd, ["--resolver", "9.9.9.9", "--resolver", "dns.quad9.net"])
    assert result.exit_code == 2
    assert "'dns.quad9.net' is not an address" in result.output


def _ending_with(error: BaseException | None) -> click.Command:
    def callback() -> None:
        if error is not None:
            raise error

    return click.Command("x", callback=callback)


@pytest.mark.parametrize(
    ("error", "exit_code", "said"),
    [
        (None, 0, ""),
        (SnitchError("no", "try"), 1, "tinysnitch: error: no\ntinysnitch: hint: try\n"),
        (NotPermitted("no"), 4, "tinysnitch: error: no\n"),
        (click.UsageError("what"), 2, "tinysnitch: error: what\ntinysnitch: hint: see `"),
        (click.Abort(), 1, ""),
        (click.exceptions.Exit(7), 7, ""),
    ],
)
def test_how_a_command_ends(
    error: BaseException | None,
    exit_code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["x"])
    assert run_command(_ending_with(error)) == exit_code
    assert capsys.readouterr().err.startswith(said)


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
    assert "sudo tinysnitchd" in capsys.readouterr().err
