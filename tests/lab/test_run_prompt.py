"""`tinysnitch run -- COMMAND` in a terminal: it asks there, and gives the terminal back to the command."""

import json
import shlex
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.lab.daemon import BIN
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import WAIT_S, wait_until
from tests.lab.person import KEYS_COUNT, Person
from tests.lab.test_run_ends import cgroup_of, daemon_of

pytestmark = [pytest.mark.privileged]

CURL = ["curl", "-4", "-sS", "http://shop.test/"]
ASKED = KEYS_COUNT[0]  # on the screen once keys count
Runner = Callable[[list[str]], Person]


@pytest.fixture
def run(lab: Lab) -> Iterator[Runner]:
    """A function that starts `tinysnitch run -- COMMAND` in a terminal of its own."""
    (lab.folder / "rules").write_text(DNS_RULE)
    words = [str(BIN / "tinysnitch"), "run", "--rules", str(lab.folder / "rules"), "--"]
    people: list[Person] = []

    def start(command: list[str]) -> Person:
        people.append(Person([*lab.namespaces.enter_host_outside(), *words, *command]))
        return people[-1]

    yield start
    for person in people:
        person.close()


@pytest.fixture
def person(lab: Lab) -> Iterator[Person]:
    """A person at an interactive shell."""
    (lab.folder / "rules").write_text(DNS_RULE)
    person = Person([*lab.namespaces.enter_host_outside(), "dash", "-i"])
    yield person
    person.close()


def test_a_key_lets_the_command_through(lab: Lab, run: Runner) -> None:
    person = run(CURL)
    person.see("curl wants to reach shop.test")
    person.see(ASKED)
    person.type("fy")
    person.see("welcome to the shop")
    person.see("allowed tcp shop.test:80")
    assert person.process.wait(timeout=WAIT_S) == 0
    assert "allow shop.test 80 tcp /usr/bin/curl  # by root" in (lab.folder / "rules").read_text()
    assert "answered" in person.everything  # also when the command ends at once
    assert "ended the connection" not in person.everything


def test_n_refuses_at_once(run: Runner) -> None:
    person = run(CURL)
    person.see(ASKED)
    person.type("n")
    person.see("refused tcp shop.test:80")
    person.see("by root")
    assert person.process.wait(timeout=WAIT_S) == 7  # could not connect; its text may be torn apart by the answer's


def test_q_does_not_end_the_asking(run: Runner) -> None:
    person = run(["sh", "-c", "curl -4 -sS http://n1.cdn.test/; curl -4 -sS http://n2.img.test/"])
    person.see("allow for 9 minutes, while this command runs")
    person.see(ASKED)
    person.type("qn")
    person.see("answered for 9 minutes, while this command runs: deny")
    person.see("curl wants to reach n2.img.test")
    person.see(ASKED)
    person.type("oe")
    person.see("no line can say once")
    person.type("\x1b")
    person.see(ASKED)
    person.type("n")
    assert person.process.wait(timeout=WAIT_S) == 7


def test_ctrl_c_is_for_the_command_while_a_question_is_open(run: Runner) -> None:
    person = run(CURL)
    person.see(ASKED)
    person.type("\x03")
    person.see("not answered tcp shop.test:80")
    assert person.process.wait(timeout=WAIT_S) == 130


def test_ctrl_c_while_the_command_runs(run: Runner) -> None:
    person = run(["sh", "-c", "trap 'echo tidy; exit 5' INT; echo started; sleep 600 & wait"])
    person.see("started")
    person.type("\x03")
    person.see("tidy")
    person.see("no connection was tried")
    assert person.process.wait(timeout=WAIT_S) == 5


def test_ctrl_z_while_a_question_is_open_leaves_the_terminal_to_the_shell(lab: Lab, person: Person) -> None:
    command = [str(BIN / "tinysnitch"), "run", "--rules", str(lab.folder / "rules"), "--", *CURL]
    person.type(f"{shlex.join(command)}\n")
    person.see(ASKED)
    person.type("\x1a")
    person.see("Stopped")
    person.type("stty -a; fg\n")
    person.see(" icanon")
    person.see("curl wants to reach shop.test")
    person.see(ASKED)
    person.type("y")
    person.see("welcome to the shop")
    person.see("allowed tcp shop.test:80")  # printed once the firewall has ended
    person.type("exit\n")
    assert person.process.wait(timeout=WAIT_S) == 0


def test_ctrl_z_where_nobody_would_continue_it_stops_nothing(run: Runner) -> None:
    person = run(CURL)
    person.see(ASKED)
    person.type("\x1a")
    person.see(ASKED)  # asked anew
    person.type("y")
    person.see("welcome to the shop")
    assert person.process.wait(timeout=WAIT_S) == 0


def test_what_is_typed_later_goes_to_the_command(run: Runner) -> None:
    person = run(["sh", "-c", f"{' '.join(CURL)}; read -r line; echo got $line"])
    person.see(ASKED)
    person.type("y")
    person.see("welcome to the shop")
    person.type("some words\n")
    person.see("got some words")
    assert person.process.wait(timeout=WAIT_S) == 0


READS_KEYS = """
import os, subprocess, sys, tty
tty.setraw(0)
asking = subprocess.Popen(sys.argv[1:])
os.write(1, b"took " + os.read(0, 1))
sys.exit(asking.wait())
"""


def test_a_command_that_reads_keys_itself_gets_none_that_answers(run: Runner) -> None:
    """An editor or a pager waited for a key before the prompt did, and so the kernel would give it the first one."""
    person = run([sys.executable, "-S", "-c", READS_KEYS, *CURL])
    person.see("curl wants to reach shop.test")
    person.see(ASKED)
    person.type("y")
    person.see("welcome to the shop")
    assert "took" not in person.everything
    person.type("x")
    person.see("took x")
    assert person.process.wait(timeout=WAIT_S) == 0


TIDIES = """
import os, signal
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: (os.write(1, b"tidy"), os._exit(5)))
"""


@pytest.mark.parametrize("key", ["", "\x03"])
def test_a_signal_reaches_a_command_that_is_frozen_while_it_is_asked_about(run: Runner, key: str) -> None:
    script = TIDIES + READS_KEYS.replace("setraw", "setcbreak")  # in cbreak mode Ctrl-C is a signal
    person = run([sys.executable, "-S", "-c", script, *CURL])
    person.see(ASKED)
    if key:
        person.type(key)
    else:
        person.process.terminate()
    person.see("tidy")
    assert person.process.wait(timeout=WAIT_S) == 5


def test_a_run_that_is_killed_while_it_asks_leaves_no_frozen_cgroup(run: Runner) -> None:
    person = run([sys.executable, "-S", "-c", READS_KEYS, *CURL])
    person.see(ASKED)
    cgroup = cgroup_of(daemon_of(person.process))
    assert (cgroup / "cgroup.freeze").read_text() == "1\n"
    person.process.kill()
    person.process.wait(timeout=WAIT_S)
    wait_until(lambda: not cgroup.exists(), "its cgroup is there")


def test_a_shell_that_gives_the_terminal_to_its_jobs_stays_usable(lab: Lab, run: Runner) -> None:
    person = run(["bash", "--norc", "-i"])
    person.type(f"{' '.join(CURL)}\n")
    person.see("answer it in another terminal with")
    person.see("--socket ")
    socket = person.read_line().strip()
    asks = lab.run_outside([str(BIN / "tinysnitch"), "asks", "--socket", socket, "--json"])
    number = json.loads(asks.stdout)["id"]
    lab.run_outside([str(BIN / "tinysnitch"), "answer", str(number), "yes", "--socket", socket])
    person.see("welcome to the shop")
    person.type("echo $((6 * 7)); exit 4\n")
    person.see("42")
    assert person.process.wait(timeout=WAIT_S) == 4
    assert "package: " not in person.everything  # nothing is looked up for a question that cannot be answered here
