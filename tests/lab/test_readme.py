"""What the README has a person do at a terminal, and a line that it names in its text.

All other commands of README and docs: tests/lab/test_documented_commands.py.
"""

import re
import shlex
import subprocess

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S
from tests.lab.person import KEYS_COUNT, Person
from tests.lab.private_machine import PrivateMachine
from tests.lab.test_run_ends import traces
from tests.lab.world import HOST4, WORLD4
from tests.repo.tree import ROOT

pytestmark = [pytest.mark.privileged]

RUN_ALL, RUN_ONE, TEST = "make run", "make run CMD='curl https://example.com'", "make test"


def without_setup(command: str) -> list[str]:
    """The words of `make run` without its set-up, which tests/fresh runs."""
    program, *words = shlex.split(command)
    assert program == "make"
    return ["make", "-s", "-o", "setup", *words]


def test_these_are_lines_of_the_readme() -> None:
    shown = (ROOT / "README.md").read_text()
    for command in (RUN_ALL, RUN_ONE):
        assert re.search(rf"^{re.escape(command)}( +#.*)?$", shown, re.MULTILINE), command


def test_the_firewall_and_its_prompt_in_one_terminal(lab: Lab, people: list[Person]) -> None:
    before = traces(lab)
    people.append(person := Person([*PrivateMachine(lab).enter(), *without_setup(RUN_ALL)]))
    person.see("no questions")
    curl = lab.spawn(["curl", "-sS", f"http://{WORLD4}/"])
    person.see("curl wants to reach")
    person.see(KEYS_COUNT[0])
    person.type("y")
    assert curl.communicate(timeout=WAIT_S)[0] == "welcome to the shop\n"
    person.type("\x03")
    person.see("tinysnitch is off")
    assert person.process.wait(timeout=WAIT_S) == 0
    assert traces(lab) == before
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 0


def test_one_command_in_a_terminal(lab: Lab, people: list[Person]) -> None:
    before = traces(lab)
    people.append(person := Person([*PrivateMachine(lab).enter(), *without_setup(RUN_ONE)]))
    person.see("allow example.com 443 tcp /usr/bin/curl")
    person.see("asked because")  # from now on keys count
    person.type("y")
    person.see("welcome to the shop")
    person.see("allowed tcp example.com:443")
    assert person.process.wait(timeout=WAIT_S) == 0
    assert traces(lab) == before


def test_the_firewall_goes_when_its_terminal_is_closed(lab: Lab, people: list[Person]) -> None:
    before = traces(lab)
    people.append(person := Person([*PrivateMachine(lab).enter(), *without_setup(RUN_ALL)]))
    person.see("no questions")
    person.close()
    assert traces(lab) == before


def test_a_rule_lets_a_remote_in_with_nobody_to_answer_a_prompt(lab: Lab) -> None:
    machine = PrivateMachine(lab)
    machine.start_daemon()
    lab.namespaces.start_server(
        [*lab.namespaces.enter_host(), "/usr/bin/python3", "-u", "-m", "http.server", "--bind", HOST4, "22"], "Serving"
    )
    visit = ["curl", "-sS", f"http://{HOST4}:22/"]
    assert lab.run_world([*visit, "--max-time", "2"]).returncode == 28  # held
    line = "tinysnitch rules add allow - 22 tcp-src"
    assert f"\n{line} " in (ROOT / "README.md").read_text()
    subprocess.run([*machine.enter(), *shlex.split(line)], check=True, timeout=WAIT_S)
    assert lab.run_world(visit).returncode == 0


@pytest.mark.parametrize("command", [RUN_ALL, RUN_ONE])
def test_without_root_it_says_what_is_missing(lab: Lab, command: str) -> None:
    words = [*PrivateMachine(lab).enter("nobody"), *without_setup(command)]
    refused = subprocess.run(words, capture_output=True, text=True, timeout=WAIT_S)
    assert refused.returncode != 0
    assert "tinysnitch: hint: call it as root: sudo make run" in refused.stderr


def test_setup_without_root_says_what_is_missing(lab: Lab) -> None:
    words = [*PrivateMachine(lab).enter("nobody"), str(ROOT / "packaging" / "setup.sh"), "run"]
    refused = subprocess.run(words, capture_output=True, text=True, timeout=WAIT_S)
    assert refused.returncode != 0
    assert "root" in refused.stderr


def test_run_and_test_install_what_they_need_and_ci_runs_the_tests() -> None:
    targets = (ROOT / "Makefile").read_text()
    assert "\nrun: setup " in targets
    assert "\ntest: setup-test " in targets
    assert "\nsetup-test: " in targets
    assert f"\n{TEST} " in (ROOT / ".ci" / "run").read_text()
