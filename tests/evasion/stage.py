"""Where attacks happen: one honest program that a rule allows, and everything else denied at once.

The honest program and its folder are root's. The attacker is `nobody`, with a folder of its own, and holds a copy that
connects just the same; so each attack that comes through is one that was taken for the honest program.
"""

import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.lab.daemon import Daemon, Record
from tests.lab.lab import Lab
from tests.lab.world import MORE_WORLD4, PROGRAMS, WORLD4

SOURCE = Path(__file__).parent / "programs" / "attack.c"
# Static and at a fixed address: the trick with PR_SET_MM_MAP unmaps its own executable.
BUILD = ["gcc", "-O1", "-Wall", "-fno-stack-protector", "-static", "-no-pie", "-pthread", "-o"]
PORT = "80"
SETTLING = 9  # where nothing else connects to
ATTACKER = "nobody"
PYTHON = "/usr/bin/python3"
ELSEWHERE = MORE_WORLD4[0]  # where only attacks connect to
CONNECT = """\
import socket, sys
socket.create_connection((sys.argv[-2], int(sys.argv[-1])), timeout=60)
print("connected")
"""


class Stage:
    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self.lab = undo.enter_context(Lab())
            self._make_files()
            lines = [f"allow - {PORT} tcp {program}\n" for program in (self.honest, self.script)]
            rules = "".join([*lines, f"allow - - -src {self.receiver}\n"])
            self.daemon: Daemon = self.lab.start_daemon(rules, timeout_s=0)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._undo.close()

    def _make_files(self) -> None:
        honest, attackers = self.lab.folder / "honest", self.lab.folder / "attackers"
        for folder in (honest, attackers):
            folder.mkdir()
        self.folder = attackers
        self.honest, self.script = honest / "program", honest / "script.py"
        self.attack, self.evil_script = attackers / "attack", attackers / "evil.py"
        self.receiver, self.evil_receiver = honest / "receiver.py", attackers / "receiver.py"
        subprocess.run([*BUILD, str(self.honest), str(SOURCE)], check=True)
        self.attack.write_bytes(self.honest.read_bytes())
        self.attack.chmod(0o755)
        for script in (self.script, self.evil_script):
            script.write_text(CONNECT)
        for receiver in (self.receiver, self.evil_receiver):
            receiver.write_bytes((PROGRAMS / "receiver.py").read_bytes())
        subprocess.run(["chown", "-R", ATTACKER, str(attackers)], check=True)

    def run(self, *command: str | Path, user: str | None = ATTACKER, stdin: str = "") -> Record:
        """Run what connects once to the port; the decision on that. It succeeds if and only if it was allowed."""
        known = len(self.decisions())
        done = self.lab.run([str(word) for word in command], user=user, stdin=stdin)
        is_through = done.returncode == 0
        record = self.next_decision(known)
        assert (record["verdict"] == "allow") == is_through, f"{done.stdout}{done.stderr}{record}"
        return record

    def decisions(self) -> list[Record]:
        return [record for record in self.daemon.records() if _is_to_the_port(record)]

    def next_decision(self, known: int) -> Record:
        """The decision after the first `known`, once it is logged."""
        return self.daemon.wait_for_count(_is_to_the_port, known + 1)[-1]

    def settle(self) -> None:
        """Until all that was decided so far is in the log: a further decision stands behind it."""
        known = len([record for record in self.daemon.records("connection") if record["remote_port"] == SETTLING])
        self.lab.run(["bash", "-c", f"exec 3<>/dev/tcp/{WORLD4}/{SETTLING}"])
        self.daemon.wait_for_count(lambda record: record.get("remote_port") == SETTLING, known + 1)

    def assert_denied(self, *command: str | Path, stdin: str = "") -> Record:
        """As the attacker."""
        record = self.run(*command, stdin=stdin)
        assert record["verdict"] == "deny", record
        return record


def _is_to_the_port(record: Record) -> bool:
    return record["event"] == "connection" and record["remote_port"] == int(PORT) and record["direction"] == "outbound"


TARGET = (WORLD4, PORT)
