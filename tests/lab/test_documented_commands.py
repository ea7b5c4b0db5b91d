"""Every command of README and docs, run as it stands there: each page on a machine of its own with default places.

How pages mark what is not run, and what must stand ready before a block, is in tests/repo/blocks.py.
"""

import signal
import subprocess
from collections.abc import Iterator
from tempfile import TemporaryFile

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S
from tests.lab.private_machine import PrivateMachine
from tests.repo.blocks import Block, is_like, pages, read_blocks
from tests.repo.tree import relative

pytestmark = pytest.mark.privileged

COMMANDS = {relative(page): [each for each in read_blocks(page)[0] if each.commands()] for page in pages()}


@pytest.fixture(scope="module")
def shared_lab(_clean_machine: None) -> Iterator[Lab]:
    with Lab() as made:
        yield made


@pytest.mark.parametrize("page", [page for page, blocks in COMMANDS.items() if blocks])
def test_the_commands_of_a_page_do_what_it_says(shared_lab: Lab, page: str) -> None:
    blocks = [block for block in COMMANDS[page] if not block.why_not_run]
    if not blocks:
        pytest.skip("none of its commands is run: " + "; ".join({block.why_not_run for block in COMMANDS[page]}))
    machine = PrivateMachine(shared_lab)
    daemon = machine.start_daemon()
    problems = [problem for block in blocks for problem in find_problems(machine, block)]
    daemon.send_signal(signal.SIGUSR1)  # the next page's daemon adopts what is loaded
    daemon.wait(timeout=WAIT_S)
    assert not problems, "\n\n".join(problems)


def find_problems(machine: PrivateMachine, block: Block) -> Iterator[str]:
    for command in block.find_marks("before"):
        status, said = run(machine, command)
        if status:
            yield f"{block.place}: before it, `{command}` exits {status}:\n{said}"
    for command in block.commands():
        status, said = run(machine, command.text)
        if status != block.status:
            yield f"{block.place}: `{command.text}` exits {status}, not {block.status}:\n{said}"
        elif command.shown and not is_like(command.shown, said):
            yield f"{block.place}: `{command.text}` says\n{said}\nand not\n{command.shown}"


def run(machine: PrivateMachine, script: str) -> tuple[int, str]:
    """Exit status and output. The output is a file: what the script leaves running would keep a pipe open."""
    with TemporaryFile("w+") as output:
        words = [*machine.enter(), "bash", "-ec", f"cd\n{script}"]
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, timeout=WAIT_S
            )
        except subprocess.TimeoutExpired:
            return -1, "it does not end: a question may wait, or it is one for `<!-- not run: REASON -->`"
        output.seek(0)
        return done.returncode, output.read()
