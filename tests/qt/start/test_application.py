"""The window against the real daemon, with real keys: hold curl, press keys, read the rules file."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import PATIENCE, WAIT_S, pass_in_one_piece, wait_until
from tests.lab.toggles import curl
from tests.qt.desktop import Desktop, prompt_clients
from tests.view.sample_prompts import prompt_of
from tinysnitch.protocol.framing import encode_frame
from tinysnitch.protocol.messages import Welcome, prompt_shown

pytestmark = [pytest.mark.privileged]

CURL = ["curl", "-4", "-sS", "http://shop.test/"]
QUESTION = "curl wants to reach shop.test"
LONG_DELAY_S = min(4.0 * PATIENCE, 10.0)  # in which four commands press keys
WELCOME = "welcome to the shop\n"


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Desktop]:
    with Desktop(tmp_path / "session") as desktop:
        yield desktop


def test_questions_are_answered_with_keys(lab: Lab, desktop: Desktop) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    desktop.attach_prompt(daemon, delay_s=0.0)
    assert not desktop.shows("")

    def ask(name: str) -> subprocess.Popen[str]:
        client = lab.spawn(curl(name))
        desktop.see(f"curl wants to reach {name}")
        return client

    def last_rule() -> str:
        return daemon.read_rules().splitlines()[-1]

    client = ask("n0.page.test")
    desktop.press(*"fjdy")
    assert client.communicate(timeout=WAIT_S)[0] == WELCOME
    assert last_rule() == "allow *.page.test 80 tcp /usr/bin/curl"
    desktop.see_nothing()

    client = ask("n1.cdn.test")  # the rule is edited
    desktop.press("f", "j", "e", "Home", *["Delete"] * len("allow"), *"deny", "Return")
    assert "Failed to connect" in client.communicate(timeout=WAIT_S)[0]
    assert last_rule() == "deny n1.cdn.test 80 tcp /usr/bin/curl"

    client = ask("shop.test")  # hostile text is pasted, and the rule stays one line
    desktop.select("clipboard", "deny shop.test\x1b\n80")
    desktop.select("primary", " tcp\r\n/usr/bin/curl\n")
    desktop.press("f", "e", "ctrl+u", "ctrl+v")
    desktop.click(640, 360, button=2)
    desktop.rest()
    desktop.press("Return")
    assert "Failed to connect" in client.communicate(timeout=WAIT_S)[0]
    assert last_rule() == "deny shop.test 80 tcp /usr/bin/curl"
    assert len(daemon.read_rules().splitlines()) == 4

    clients = [ask("n2.img.test")]  # it is left, comes back with the next question, and all is answered together
    desktop.press("q")
    desktop.see_nothing()
    assert len(daemon.asks()) == 1
    clients.append(lab.spawn(curl("n3.font.test")))
    daemon.wait_ask(name="n3.font.test")
    desktop.see("curl wants to reach n")
    desktop.press("l", "y")  # y only leaves the legend
    assert len(daemon.asks()) == 2
    desktop.press("g", "y")
    assert [client.communicate(timeout=WAIT_S)[0] for client in clients] == [WELCOME] * 2


def test_keys_in_the_first_moment_and_keys_held_down_answer_nothing(lab: Lab, desktop: Desktop) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    desktop.attach_prompt(daemon, delay_s=LONG_DELAY_S)
    client = lab.spawn(CURL)
    while not desktop.shows(QUESTION):
        desktop.press("y")  # someone who types elsewhere, and goes on when the window comes
    desktop.press("y")
    desktop.see(QUESTION)
    desktop.press("y")
    desktop.hold("y")  # the server repeats it past the end of the delay
    desktop.rest()
    # Counted from when the window was painted; twice, since a window that is late at its end begins the delay anew.
    pass_in_one_piece(2 * LONG_DELAY_S + 1.0)
    assert [ask["name"] for ask in daemon.asks()] == ["shop.test"]
    desktop.release("y")
    desktop.press("n")
    assert "Failed to connect" in client.communicate(timeout=WAIT_S)[0]


def test_a_daemon_that_restarts_is_followed(lab: Lab, desktop: Desktop) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    desktop.attach_prompt(daemon, delay_s=0.0)
    lab.spawn(CURL)
    desktop.see(QUESTION)
    daemon.stop()
    desktop.see_nothing()
    daemon = lab.restart_daemon(daemon.rules.parent)
    client = lab.spawn(CURL)
    desktop.see(QUESTION)
    desktop.press("y")
    assert client.communicate(timeout=WAIT_S)[0] == WELCOME


def test_a_daemon_that_is_not_understood_ends_the_window_with_its_reason(desktop: Desktop, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(tmp_path / "socket"))
        daemon.listen()
        prompt = desktop.start_prompt("--socket", str(tmp_path / "socket"))
        connection, _ = daemon.accept()
        with connection:
            connection.sendall(encode_frame(Welcome()) + encode_frame(prompt_shown(prompt_of(1))))
            desktop.see("curl wants to reach shop.test")
            connection.sendall(b"what is that?\n")
            told = prompt.communicate(timeout=WAIT_S)[1]
    assert (prompt.returncode, "the daemon sent something that this version does not understand" in told) == (1, True)


def test_the_daemon_starts_the_window_of_who_called_and_ends_it(lab: Lab, desktop: Desktop) -> None:
    with desktop.as_environment(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUDO_UID", str(os.getuid()))
        daemon = lab.start_daemon(DNS_RULE)
    wait_until(lambda: prompt_clients(daemon) == 1)
    lab.spawn(CURL)
    desktop.see(QUESTION)
    find = ["pgrep", "-f", f"tinysnitch-prompt --socket {daemon.socket}"]
    assert lab.run_outside(find).returncode == 0
    daemon.stop()
    assert lab.run_outside(find).returncode == 1
    desktop.see_nothing()


def test_from_a_question_a_key_shows_what_else_the_program_does(lab: Lab, desktop: Desktop) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    desktop.attach_prompt(daemon, delay_s=0.0)
    client = lab.spawn(CURL)
    desktop.see(QUESTION)
    desktop.press("F3")
    desktop.see("tinysnitch")
    desktop.press("y", "n")  # in the window of the pages, which answers nothing
    assert client.poll() is None
    desktop.press("q")
    desktop.see(QUESTION)
    desktop.press("y")
    assert client.communicate(timeout=WAIT_S)[0] == WELCOME


def test_the_pages_alone_end_with_their_window(lab: Lab, desktop: Desktop) -> None:
    daemon = lab.start_daemon("")
    monitor = desktop.start_prompt("--monitor", "--socket", str(daemon.socket))
    desktop.see("tinysnitch")
    desktop.press("q")
    assert monitor.wait(timeout=WAIT_S) == 0
