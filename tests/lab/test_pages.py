"""The program with pages, with a real daemon, on a pseudo-terminal: what talks is seen, and ended, and no key that is
typed on another page answers a question."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.lab.daemon import BIN, Daemon
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import WAIT_S, pass_in_one_piece, read_line
from tests.lab.person import KEYS_COUNT, Person
from tests.lab.test_hostile_text import assert_harmless
from tests.lab.toggles import curl
from tests.lab.world import WORLD4
from tinysnitch.view.key_guard import DELAY_S

pytestmark = [pytest.mark.privileged]

PYTHON = os.path.realpath("/usr/bin/python3")
RULES = f"{DNS_RULE}\nallow *.page.test 80 tcp /usr/bin/curl\nallow - 80 tcp {PYTHON}\n"
F2, F6, DOWN = "\x1bOQ", "\x1b[17~", "\x1b[B"  # as xterm sends them
KEEPS_OPEN = """
import socket
with socket.create_connection(("{address}", 80)) as client:
    print("connected", flush=True)
    try:
        client.recv(1)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""
Look = Callable[[Daemon], Person]


@pytest.fixture(name="look")
def _look() -> Iterator[Look]:
    """A function that starts `tinysnitch top` in a terminal with a person, who is closed at the end."""
    present: list[Person] = []

    def sit_down(daemon: Daemon) -> Person:
        command = [str(BIN / "tinysnitch"), "top", "--socket", str(daemon.socket)]
        present.append(person := Person(command))
        person.see("nobody talks")
        return person

    yield sit_down
    for person in present:
        person.close()


def test_a_question_that_opens_on_another_page_is_seen_and_answered_there_alone(lab: Lab, look: Look) -> None:
    daemon = lab.start_daemon(RULES)
    person = look(daemon)
    assert lab.run(curl("n0.page.test")).returncode == 0
    person.see("curl")
    client = lab.spawn(curl())
    person.see("curl wants to reach shop.test")
    for keys in ("y", "n", "Y", "fy", "\r", f"{DOWN}y", "\x1b"):
        person.type(keys)
        pass_in_one_piece(DELAY_S)
    assert (client.poll(), daemon.records("answer")) == (None, [])
    person.type(F2)
    person.see("curl wants to reach")
    person.see(KEYS_COUNT[0])
    person.type("fy")
    assert client.communicate(timeout=WAIT_S)[0] == "welcome to the shop\n"
    answer = daemon.wait_for(lambda record: record["event"] == "answer")  # its line may come after the packet's
    assert daemon.records("answer") == [answer]
    person.type(F6)
    person.see(answer["rule"].split()[1])
    assert person.leave() == 0


def test_a_connection_that_talks_is_ended(lab: Lab, look: Look) -> None:
    daemon = lab.start_daemon(RULES)
    person = look(daemon)
    client = lab.spawn(["/usr/bin/python3", "-c", KEEPS_OPEN.format(address=WORLD4)])
    assert read_line(client) == "connected\n"
    person.see("python3")
    person.type(DOWN)
    person.see("decided by")
    person.type("x")
    person.see("end its connections")
    pass_in_one_piece(2 * DELAY_S)
    person.type("\r")
    person.see("ended: 1")
    assert client.communicate(timeout=WAIT_S)[0] == "ConnectionAbortedError\n"
    assert person.leave() == 0


def test_a_hostile_program_draws_nothing_and_a_member_sees_nothing_of_others(lab: Lab, look: Look) -> None:
    program = lab.folder / "\x1b[2Jx\u202e\x9b"
    shutil.copy("/usr/bin/curl", program)
    daemon = lab.start_daemon("allow - - -\n", "--user", "nobody")
    person = look(daemon)
    lab.run([str(program), "-sS", f"http://{WORLD4}/"])
    person.see(r"\x1b[2Jx\u202e\x9b")
    person.type("+")
    person.see(WORLD4)
    assert person.leave() == 0
    assert "\u202e" not in person.everything
    assert "\x9b" not in person.everything
    told = daemon.cli("history").stdout
    assert r"\x1b[2Jx" in told
    assert_harmless(told)
    assert daemon.cli("history", user="nobody").stdout == ""
