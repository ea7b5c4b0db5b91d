import pytest

from tests.cli.running import Command
from tests.daemon.requests.small_handler import RunningServer
from tinysnitch.cli.screens.prompt import prompt_command
from tinysnitch.protocol.framing import DEFAULT_SOCKET
from tinysnitch.tui import prompt_app
from tinysnitch.tui.pages import pages_app


def test_its_options_are_plain_and_the_socket() -> None:
    assert {name for option in prompt_command.params for name in option.opts} == {"--plain", "--socket"}


def test_without_a_daemon_it_is_3(command: Command) -> None:
    code, out, err = command("prompt")
    assert (code, out) == (3, "")
    assert err.startswith("tinysnitch: error: no daemon listens on ")


def test_no_command_is_the_prompt_with_its_pages(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def run_pages(socket_path: str) -> int:
        called.append(socket_path)
        return 5

    monkeypatch.setattr(pages_app, "run_pages", run_pages)
    assert command.plain().code == 5
    assert called == [DEFAULT_SOCKET]


def test_no_command_says_the_same_as_the_prompt_where_it_cannot_be_shown(command: Command) -> None:
    assert command.plain() == command.plain("prompt")


def test_flags_and_exit_code_go_through(
    running: RunningServer, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[str, bool]] = []

    def run_prompt(socket_path: str, plain: bool) -> int:
        called.append((socket_path, plain))
        return 5

    monkeypatch.setattr(prompt_app, "run_prompt", run_prompt)
    assert command("prompt", "--plain").code == 5
    assert called == [(str(running.path), True)]
