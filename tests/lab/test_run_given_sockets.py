"""Sockets that a command of `tinysnitch run` inherits from outside: they belong to another cgroup, and so the hooks of
the run do not see what the command does with them.
"""

import subprocess

import pytest

from tests.lab.daemon import BIN
from tests.lab.lab import Lab
from tests.lab.world import WORLD4

pytestmark = [pytest.mark.privileged]

GIVEN = 9
# Executes the rest of the words with a socket at the given descriptor.
GIVE = """
import os, socket, sys
kind, descriptor, *words = sys.argv[1:]
mine = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
os.dup2(mine.fileno(), int(descriptor))
os.execvp(words[0], words)
"""
USE = """
import socket, sys
given = socket.socket(fileno=int(sys.argv[1]))
given.connect((sys.argv[2], 80))
given.send(b"x")
"""


def run_with(lab: Lab, kind: str, descriptor: int) -> subprocess.CompletedProcess[str]:
    (lab.folder / "run-rules").write_text("")
    words = [str(BIN / "tinysnitch"), "run", "--rules", str(lab.folder / "run-rules"), "--", "/usr/bin/python3", "-c"]
    return lab.run_outside(
        ["/usr/bin/python3", "-c", GIVE, kind, str(descriptor), *words, USE, str(descriptor), WORLD4]
    )


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_what_cannot_be_judged_is_not_handed_on(lab: Lab, kind: str) -> None:
    ran = run_with(lab, kind, GIVEN)
    assert "OSError: [Errno 9] Bad file descriptor" in ran.stderr
    assert f"tinysnitch: descriptor {GIVEN} is a network socket made outside" in ran.stderr


def test_a_standard_stream_is_handed_on_with_a_warning(lab: Lab) -> None:
    ran = run_with(lab, "tcp", 0)
    assert ran.returncode == 0
    assert (
        "tinysnitch: standard input is a network socket made outside: what goes through it is not judged" in ran.stderr
    )
