"""The terminal prompt with a real daemon, on a pseudo-terminal: curl is held, keys are typed, the rules file is read.

Most cases are run with the full screen and with `--plain`.
"""

import os
import re
import shlex
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing

import pytest

from tests.lab.daemon import BIN, Daemon
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import PATIENCE, WAIT_S
from tests.lab.person import KEYS_COUNT, Person
from tests.lab.test_hostile_text import COMMAND, HOSTILE
from tests.lab.toggles import curl, try_toggles
from tests.lab.wakeups import stand_still
from tests.lab.world import WORLD4
from tinysnitch.client.control_client import ControlClient
from tinysnitch.daemon.control.clients import MAX_CLIENTS
from tinysnitch.view.key_guard import PASTED_S

pytestmark = [pytest.mark.privileged]

PAGE = "welcome to the shop\n"
DELAY_S = 0.5
LEAVE_SCREEN = "\x1b[?1049l"  # xterm's ctlseqs: back to the normal screen
NEVER_S = 10.0  # the longest delay that can be set
both = pytest.mark.parametrize("flags", [[], ["--plain"]], ids=["screen", "plain"])
Sit = Callable[..., Person]
Pair = tuple[Daemon, list[Person]]


@pytest.fixture(name="sit")
def _sit() -> Iterator[Sit]:
    """A function that starts `tinysnitch prompt` in a terminal with a person, who is closed at the end."""
    present: list[Person] = []

    def sit_down(daemon: Daemon, flags: list[str], delay_s: float = DELAY_S, within: Sequence[str] = ()) -> Person:
        command = [*within, str(BIN / "tinysnitch"), "prompt", "--socket", str(daemon.socket), *flags]
        present.append(person := Person(command, TINYSNITCH_DELAY_SECONDS=str(delay_s)))
        person.see("no questions")
        return person

    yield sit_down
    for person in present:
        person.close()


def sit_at_shell(daemon: Daemon, flags: list[str], delay_s: float) -> Person:
    """A person who has typed the prompt's command into a shell."""
    shell = Person(["bash", "--norc", "-i"], TINYSNITCH_DELAY_SECONDS=str(delay_s))
    shell.type(shlex.join([str(BIN / "tinysnitch"), "prompt", "--socket", str(daemon.socket), *flags]) + "\n")
    shell.see("no questions")
    return shell


def see_question(person: Person, name: str = "shop.test") -> None:
    person.see(f"curl wants to reach {name}")
    see_that_keys_count(person)


def see_that_keys_count(person: Person) -> None:
    person.see(KEYS_COUNT["--plain" in person.command])


def see_editor(person: Person) -> None:
    """Wait until the editor for the rule takes Enter."""
    if "--plain" in person.command:
        person.see("answers with it")
        time.sleep(DELAY_S + 0.5)  # `--plain` does not say when the delay is over
    else:
        person.see("answer with it")
        see_that_keys_count(person)


@both
def test_a_question_is_shown_while_the_name_service_hangs(
    lab: Lab, sit: Sit, flags: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One over the network hangs while its own connection is asked about. Here /etc/passwd is an idle FIFO."""
    monkeypatch.setenv("HOME", "/root")  # without it Python itself looks it up in /etc/passwd
    os.mkfifo(lab.folder / "passwd")
    within = [
        "unshare",
        "--mount",
        "sh",
        "-ec",
        'mount --bind "$0" /etc/passwd && exec "$@"',
        str(lab.folder / "passwd"),
    ]
    daemon = lab.start_daemon("")
    person = sit(daemon, flags, within=within)
    lab.spawn(["curl", "-sS", f"http://{WORLD4}/"])
    see_question(person, WORLD4)
    assert "uid 0" in person.everything


@both
def test_no_key_answers_a_question_that_the_terminal_has_not_shown(lab: Lab, sit: Sit, flags: list[str]) -> None:
    daemon = lab.start_daemon("")
    person = sit(daemon, flags)
    person.hold_output(True)
    client = lab.spawn(["curl", "-sS", f"http://{WORLD4}/"])
    daemon.wait_ask()
    for _ in range(2):
        time.sleep(2 * DELAY_S)  # longer than the delay before keys count
        person.type("y")
    time.sleep(DELAY_S)
    assert (client.poll(), len(daemon.asks())) == (None, 1)
    person.hold_output(False)
    see_question(person, WORLD4)
    person.type("y")
    assert client.wait(timeout=WAIT_S) == 0


@both
def test_one_key_lets_the_program_through_and_writes_the_rule(lab: Lab, sit: Sit, flags: list[str]) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    person = sit(daemon, flags)
    client = lab.spawn(curl())
    see_question(person)
    person.type("f")
    person.see("in the rules file")
    person.type("j")
    person.type("y")
    assert client.communicate(timeout=WAIT_S)[0] == PAGE
    assert "allow shop.test 80 tcp /usr/bin/curl\n" in daemon.read_rules()
    assert person.leave() == 0


@pytest.mark.parametrize("elsewhere", ["2>/dev/null", ">/dev/null"])
@both
def test_stdout_or_stderr_may_be_redirected(lab: Lab, sit: Sit, flags: list[str], elsewhere: str) -> None:
    daemon = lab.start_daemon("")
    person = sit(daemon, flags, within=["sh", "-c", f'exec "$@" {elsewhere}', "sh"])
    client = lab.spawn(["curl", "-sS", f"http://{WORLD4}/"])
    see_question(person, WORLD4)
    person.type("y")
    assert client.wait(timeout=WAIT_S) == 0
    assert person.leave() == 0


@both
@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_puts_the_terminal_back(lab: Lab, sit: Sit, flags: list[str], number: signal.Signals) -> None:
    person = sit(lab.start_daemon(""), flags)
    during = person.settings()
    assert person.end_by(number) == 128 + number
    assert person.settings() != during
    assert (LEAVE_SCREEN in person.everything) == (not flags)


@both
def test_input_that_no_terminal_should_send_neither_answers_nor_ends_the_prompt(
    lab: Lab, sit: Sit, flags: list[str]
) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    person = sit(daemon, flags)
    client = lab.spawn(curl())
    see_question(person)
    for strange in ("\udcff", "\x1b[121;1:3u", "\x1b[121::110;1:1u"):  # not UTF-8; kitty's keyboard protocol
        person.type(strange)
        time.sleep(0.3)  # so that they are read apart from each other, and from the key
    assert client.poll() is None
    person.type("f")
    person.see("in the rules file")
    person.type("y")
    assert client.communicate(timeout=WAIT_S)[0] == PAGE
    assert person.leave() == 0


@both
def test_every_toggle_is_in_the_rule_that_is_written(lab: Lab, sit: Sit, flags: list[str]) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    person = sit(daemon, flags, 0.0)

    def answer(name: str, keys: str) -> None:
        person.see(f"curl wants to reach {name}")
        if flags:
            person.see("keys: ")  # keys typed before this are thrown away
        person.type(keys)

    try_toggles(lab, daemon, answer)
    assert person.leave() == 0


@both
def test_a_rule_edited_by_hand_is_the_one_that_is_written(lab: Lab, sit: Sit, flags: list[str]) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    person = sit(daemon, flags)
    client = lab.spawn(curl())
    see_question(person)
    person.type("e")
    see_editor(person)
    person.type("\x15allow *.shop.test - tcp")
    person.see("*.shop.test - tcp")
    time.sleep(2 * PASTED_S)
    person.type("\r")
    assert client.communicate(timeout=WAIT_S)[0] == PAGE
    assert daemon.read_rules().endswith("allow *.shop.test - tcp\n")
    assert person.leave() == 0


@both
def test_keys_typed_ahead_and_within_the_delay_do_nothing(lab: Lab, sit: Sit, flags: list[str]) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    person = sit(daemon, flags, NEVER_S)
    person.type("yyy")
    client = lab.spawn(curl())
    person.see("curl wants to reach shop.test")
    person.type("fynh")  # keys are read in order: when `h` has opened the help, those before it were read
    person.see("any key goes back")
    person.type("x")
    person.see("for 9 minutes")
    assert [ask["name"] for ask in daemon.asks()] == ["shop.test"]
    assert client.poll() is None


@both
def test_ctrl_z_leaves_the_terminal_to_the_shell_and_fg_asks_anew(lab: Lab, flags: list[str]) -> None:
    daemon = lab.start_daemon(DNS_RULE)
    delay_s, sign = min(2.0 * PATIENCE, NEVER_S), KEYS_COUNT[bool(flags)]
    with closing(sit_at_shell(daemon, flags, delay_s)) as person:
        client = lab.spawn(curl())
        person.see("curl wants to reach shop.test")
        person.see(sign)
        person.type("\x1a")
        person.see("Stopped" if flags else LEAVE_SCREEN)
        person.type("echo $((6 * 7))\n")
        person.see("42")
        person.type("fg\n")
        person.see("curl wants to reach shop.test")
        person.type("n")  # too early: the question has only just come back into sight
        person.see(sign)
        person.type("y")
        assert client.communicate(timeout=WAIT_S)[0] == PAGE


@pytest.fixture(name="pair")
def _pair(lab: Lab, sit: Sit) -> Pair:
    """Two prompts at one daemon, one in full screen and one plain."""
    daemon = lab.start_daemon(DNS_RULE)
    return daemon, [sit(daemon, []), sit(daemon, ["--plain"])]


def test_the_countdown_ends_in_deny(lab: Lab, sit: Sit) -> None:
    daemon = lab.start_daemon(DNS_RULE, timeout_s=5)
    screen, plain = people = [sit(daemon, []), sit(daemon, ["--plain"])]
    client = lab.spawn(curl())
    plain.see("seconds left, then it is denied")
    assert "Failed to connect" in client.communicate(timeout=WAIT_S)[0]
    for person in people:
        person.see("no answer within 5 s, denied")
    seconds = [int(number) for number in re.findall("([0-9]+) s, then deny", screen.everything)]
    assert seconds == sorted(seconds, reverse=True)
    assert len(set(seconds)) > 1
    denied = daemon.wait_connection(protocol="tcp")
    assert (denied["verdict"], denied["rule"]) == ("deny", None)
    assert [person.leave() for person in people] == [0, 0]


def test_prompts_follow_a_daemon_that_starts_again(lab: Lab, pair: Pair) -> None:
    daemon, people = pair
    client = lab.spawn(curl())
    for person in people:
        person.see("curl wants to reach shop.test")
    assert daemon.stop() == 0
    for person in people:
        person.see("waiting for the daemon")
        person.type("yyy")  # the question went with the daemon: these keys must not answer the next one
    assert client.wait(timeout=WAIT_S) == 7
    daemon = lab.restart_daemon(daemon.rules.parent)
    for person in people:
        person.see("no questions")
    for person, name in zip(people, ("n0.page.test", "n1.cdn.test"), strict=True):
        client = lab.spawn(curl(name))
        see_question(person, name)
        person.type("y")
        assert client.communicate(timeout=WAIT_S)[0] == PAGE
    assert [person.leave() for person in people] == [0, 0]
    assert len(daemon.stop_and_tell("answer")) == 2


def test_prompts_follow_a_daemon_that_was_killed(lab: Lab, pair: Pair) -> None:
    daemon, people = pair
    client = lab.spawn(curl())
    for person in people:
        person.see("curl wants to reach shop.test")
    daemon.kill()
    for person in people:
        person.see("waiting for the daemon")
    daemon = lab.restart_daemon(daemon.rules.parent)
    for person in people:
        person.see(f"curl wants to reach {WORLD4}")  # the SYN was sent again; the name is not known any more
    see_that_keys_count(people[0])
    people[0].type("y")
    assert client.communicate(timeout=WAIT_S)[0] == PAGE
    people[1].see("by root")


def test_prompts_wait_for_a_place_that_others_took_at_a_restart(lab: Lab, pair: Pair) -> None:
    daemon, people = pair
    assert daemon.stop() == 0
    for person in people:
        person.see("waiting for the daemon")
        stand_still(person.process.pid)
    daemon = lab.restart_daemon(daemon.rules.parent)
    with ExitStack() as others:
        for _ in range(MAX_CLIENTS):
            others.enter_context(ControlClient(daemon.socket))
        for person in people:
            person.process.send_signal(signal.SIGCONT)
            person.see("64 clients are connected already")
    for person in people:
        person.see("no questions")
    assert [person.leave() for person in people] == [0, 0]


def test_two_prompts_race_and_the_first_answer_wins(lab: Lab, pair: Pair) -> None:
    daemon, people = pair
    for first, second in (people, people[::-1]):
        client = lab.spawn(curl())
        for person in people:
            see_question(person)
        first.type("oy")
        assert client.communicate(timeout=WAIT_S)[0] == PAGE
        second.see("answered yes once by root")
        second.type("n")
    assert [person.leave() for person in people] == [0, 0]
    assert [answer["rule"].split()[0] for answer in daemon.stop_and_tell("answer")] == ["allow", "allow"]


def test_hostile_arguments_steer_no_terminal(lab: Lab, pair: Pair) -> None:
    _daemon, people = pair
    client = lab.spawn(COMMAND)
    for person in people:
        person.see(f"tcp_client.py wants to reach {WORLD4}")
        see_that_keys_count(person)
        person.type("a")  # now the rule has all arguments; the fact above it may be cut
        person.see(r"\x1b[2J\x1b]0;owned\x07")
        person.see(r"\u202e")
    for person, back in zip(people, ("? all keys", "tcp_client.py wants to reach"), strict=True):
        person.type("e")
        see_editor(person)
        person.type("\x1b")
        person.see(back)
    see_that_keys_count(people[0])
    people[0].type("y")
    assert client.wait(timeout=WAIT_S) == 0
    people[1].see("by root")
    assert [person.leave() for person in people] == [0, 0]
    for person in people:
        raw = [text for text in (*HOSTILE[:2], "owned\x07", "\u202e", "\x9b", "\x7f") if text in person.everything]
        assert raw == []


@both
def test_a_question_stays_open_while_its_rule_is_edited(lab: Lab, sit: Sit, flags: list[str]) -> None:
    """For longer than its time; the program waits meanwhile."""
    daemon = lab.start_daemon("", timeout_s=4)
    person = sit(daemon, flags)
    client = lab.spawn(["curl", "-sS", f"http://{WORLD4}/"])
    see_question(person, WORLD4)
    person.type("fe")
    see_editor(person)
    began_s = time.monotonic()
    while time.monotonic() - began_s < 8 * PATIENCE:
        person.type("\x1b[D")  # the cursor moves left
        time.sleep(0.5)
    person.type("\r")
    assert client.wait(timeout=WAIT_S) == 0
    assert daemon.wait_for(lambda record: record["event"] == "answer")["rule"].startswith(f"allow {WORLD4}")


@both
def test_enter_adds_the_rule_of_a_question_that_is_gone(lab: Lab, sit: Sit, flags: list[str]) -> None:
    daemon = lab.start_daemon("")
    person = sit(daemon, flags)
    client = lab.spawn(["curl", "-sS", f"http://{WORLD4}/"])
    see_question(person, WORLD4)
    person.type("fe")
    see_editor(person)
    daemon.cli("answer", str(daemon.wait_ask()["id"]), "no", "--for", "once")
    assert client.wait(timeout=WAIT_S) == 7
    person.see("is gone")
    person.type("\r")
    person.see("added: allow ")
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 0
