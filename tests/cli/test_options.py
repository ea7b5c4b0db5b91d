import click
import pytest

from tinysnitch.cli.main import tinysnitch
from tinysnitch.cli.options import examples, json_option, socket_option
from tinysnitch.commandline.command_runner import run_command
from tinysnitch.protocol.framing import DEFAULT_SOCKET


@click.command(epilog=examples("one two", "three"))
@socket_option
@json_option
def command(socket_path: str, as_json: bool) -> tuple[str, bool]:
    return socket_path, as_json


def test_the_default_is_the_daemons() -> None:
    assert command.main([], standalone_mode=False) == (DEFAULT_SOCKET, False)
    assert command.main(["--socket", "/x", "--json"], standalone_mode=False) == ("/x", True)


def test_a_socket_has_a_path() -> None:
    with pytest.raises(click.BadParameter, match="the path is empty"):
        command.main(["--socket", ""], standalone_mode=False)


@pytest.mark.parametrize("words", [("rules", "check", ""), ("lists", "update", "--folder", "")])
def test_so_has_every_place(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(tinysnitch, "tinysnitch", words) == 2
    assert "the path is empty" in capsys.readouterr().err


def test_examples_stand_at_the_end_a_line_each() -> None:
    assert command.get_help(click.Context(command)).endswith("\n  Examples:\n    one two\n    three")
