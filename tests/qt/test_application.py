"""The window against the real daemon, with real keys: hold curl, press keys, read the rules file."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import PATIENCE, WAIT_S, pass_in_one_piece, wait_until
from tests.lab.toggles import curl, try_toggles
from tests.qt.desktop import Desktop, prompt_clients
from tests.view.sample_prompts import prompt_of
from tinysnitch.protocol.framing import encode_frame
from tinysnitch.protocol.messages import Welcome, prompt_shown

pytestmark = [pytest.mark.privileged]

CURL = ["curl", "-4", "-sS", "http://shop.test/"]
QUESTION = "curl wants to reach shop.test"
DELAY_S = 0.5
LONG_DELAY_S = min(6.0 * PATIENCE, 10.0)  # in which four commands press keys
WELCOME = "welcome to the shop\n"


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Desktop]:
    with Desktop(tmp_path / "session") as desktop:
        yield desktop


def pass_delay(desktop: Desktop, delay_s: float = DELAY_S) -> None:
    desktop.rest()
    # Counted from when the window was painted; twice, since a window that is late at its end begins the delay anew.
    pass_in_one_piece(2 * delay_s + 1.0)


@pytest.mark.parametrize(
    ("keys", "rule"),
    [
        ("fj", "allow shop.test 80 tcp /usr/bin/curl"),
        ("fddpj", "allow - - tcp /usr/bin/curl"),
    ],
)
def test_keys_change_the_rule_and_one_answers(lab: Lab, desktop: Desktop, keys: str, rule: str) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    desktop.attach_prompt(daemon)
    assert not desktop.shows("")
    curl = lab.spawn(CURL)
    desktop.see(QUESTION)
    pass_delay(desktop)
    desktop.press(*keys, "y")
    assert curl.communicate(timeout=WAIT_S)[0] == WELCOME
    assert f"{rule}\n" in daemon.rules.read_text()
    desktop.see_nothing()


def test_every_toggle_is_in_the_rule_that_is_written(lab: Lab, desktop: Desktop) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    desktop.attach_prompt(daemon, delay_s=0.0)

    def answer(name: str, keys: str) -> None:
        desktop.see(f"curl wants to reach {name}")
        desktop.press(*keys)

    try_toggles(lab, daemon, answer)


def test_all_that_waits_for_a_program_is_answered_together(lab: Lab, desktop: Desktop) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    desktop.attach_prompt(daemon, delay_s=0.0)
    clients = [lab.spawn(curl(name)) for name in ("n0.page.test", "n1.cdn.test")]
    for name in ("n0.page.test", "n1.cdn.test"):
        daemon.wait_ask(name=name)
    desktop.see("curl wants to reach n")
    desktop.press("l", "y")  # y only leaves the legend
    assert len(daemon.asks()) == 2
    desktop.press("g", "y")
    assert [client.communicate(timeout=WAIT_S)[0] for client in clients] == [WELCOME] * 2


def test_the_rule_can_be_edited(lab: Lab, desktop: Desktop) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    desktop.attach_prompt(daemon)
    curl = lab.spawn(CURL)
    desktop.see(QUESTION)
    pass_delay(desktop)
    desktop.press("f", "j", "e", "Home", *["Delete"] * len("allow"), *"deny")
    pass_delay(desktop)
    desktop.press("Return")
    assert "Failed to connect" in curl.communicate(timeout=WAIT_S)[0]
    assert "deny shop.test 80 tcp /usr/bin/curl\n" in daemon.rules.read_text()


def test_hostile_text_can_be_pasted_into_the_rule_and_stays_one_line(lab: Lab, desktop: Desktop) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    desktop.attach_prompt(daemon)
    curl = lab.spawn(CURL)
    desktop.see(QUESTION)
    desktop.select("clipboard", "deny shop.test\x1b\n80")
    desktop.select("primary", " tcp\r\n/usr/bin/curl\n")
    pass_delay(desktop)
    desktop.press("f", "e", "ctrl+u", "ctrl+v")
    desktop.click(640, 100, button=2)
    pass_delay(desktop)
    desktop.press("Return")
    assert "Failed to connect" in curl.communicate(timeout=WAIT_S)[0]
    assert daemon.rules.read_text().splitlines()[1:] == ["deny shop.test 80 tcp /usr/bin/curl"]


def test_keys_in_the_first_moment_and_keys_held_down_answer_nothing(lab: Lab, desktop: Desktop) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    desktop.attach_prompt(daemon, delay_s=LONG_DELAY_S)
    curl = lab.spawn(CURL)
    while not desktop.shows(QUESTION):
        desktop.press("y")  # someone who types elsewhere, and goes on when the window comes
    desktop.press("y")
    desktop.see(QUESTION)
    desktop.press("y")
    desktop.hold("y")  # the server repeats it past the end of the delay
    pass_delay(desktop, LONG_DELAY_S)
    assert [ask["name"] for ask in daemon.asks()] == ["shop.test"]
    desktop.release("y")
    desktop.press("n")
    assert "Failed to connect" in curl.communicate(timeout=WAIT_S)[0]


def test_without_an_answer_the_time_denies(lab: Lab, desktop: Desktop) -> None:
    daemon = lab.start_daemon(DNS_RULE, timeout_s=5)
    desktop.attach_prompt(daemon)
    curl = lab.spawn(CURL)
    desktop.see(QUESTION)
    assert "Failed to connect" in curl.communicate(timeout=WAIT_S)[0]
    desktop.see_nothing()


def test_a_daemon_that_restarts_is_followed(lab: Lab, desktop: Desktop) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    desktop.attach_prompt(daemon)
    lab.spawn(CURL)
    desktop.see(QUESTION)
    daemon.stop()
    desktop.see_nothing()
    daemon = lab.restart_daemon(daemon.rules.parent)
    curl = lab.spawn(CURL)
    desktop.see(QUESTION)
    pass_delay(desktop)
    desktop.press("y")
    assert curl.communicate(timeout=WAIT_S)[0] == WELCOME


def test_of_two_windows_the_first_answer_wins(lab: Lab, tmp_path: Path) -> None:
    """Both answer at the same time: it is not known which is first."""
    daemon = lab.start_daemon(DNS_RULE)
    with ExitStack() as stack:
        desktops = [stack.enter_context(Desktop(tmp_path / name)) for name in ("first", "second")]
        for desktop in desktops:
            desktop.attach_prompt(daemon)
        client = lab.spawn(CURL)
        for desktop in desktops:
            desktop.see(QUESTION)
        pass_delay(desktop)
        with ThreadPoolExecutor() as hands:
            list(hands.map(Desktop.press, desktops, ("y", "n")))
        is_allowed = client.communicate(timeout=WAIT_S)[0] == WELCOME
        for desktop in desktops:
            desktop.see_nothing()
    told = daemon.wait_connection(name="shop.test")
    assert (told["verdict"], told["reason"]) == ("allow" if is_allowed else "deny", "answered by uid 0")
    (answer,) = daemon.stop_and_tell("answer")
    assert answer["rule"] == told["rule"]


def test_what_is_left_comes_back_with_the_next_question(lab: Lab, desktop: Desktop) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    desktop.attach_prompt(daemon)
    lab.spawn(CURL)
    desktop.see(QUESTION)
    pass_delay(desktop)
    desktop.press("q")
    desktop.see_nothing()
    assert len(daemon.asks()) == 1
    lab.spawn(["curl", "-4", "-sS", "http://shop.test:81/"])
    desktop.see(QUESTION)
    assert len(daemon.asks()) == 2


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
    with desktop.as_environment():
        daemon = lab.start_daemon(DNS_RULE, "--prompt")
    wait_until(lambda: prompt_clients(daemon) == 1)
    lab.spawn(CURL)
    desktop.see(QUESTION)
    find = ["pgrep", "-f", f"tinysnitch-prompt --socket {daemon.socket}"]
    assert lab.run_outside(find).returncode == 0
    daemon.stop()
    assert lab.run_outside(find).returncode == 1
    desktop.see_nothing()
