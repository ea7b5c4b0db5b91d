"""The stage for attacks: rules allow an honest program, a script and a receiver, and all else is denied at once.

These and their folder belong to root. The attacker is the user `nobody`, who has a folder of their own with copies that
connect in the same way. So a connection of the attacker that is allowed was taken for one of the honest programs.
"""

import subprocess
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Self

from tests.lab.daemon import Daemon, Record
from tests.lab.lab import Lab
from tests.lab.world import MORE_WORLD4, PROGRAMS, WORLD4

SOURCE = Path(__file__).parent / "programs" / "attack.c"
# Static and at a fixed address, since the attack with PR_SET_MM_MAP unmaps its own executable.
BUILD = ["gcc", "-O1", "-Wall", "-fno-stack-protector", "-static", "-no-pie", "-pthread", "-o"]
PORT = "80"
SETTLING = 9  # a port that nothing else connects to
ATTACKER = "nobody"
PYTHON = "/usr/bin/python3"
ELSEWHERE = MORE_WORLD4[0]  # an address that only attacks connect to
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
            self._rules, self._ports = rules, count(10000)
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
        """Run a command that connects once to the port; the decision on that connection.

        The command must succeed if the verdict is allow, and fail if it is deny.
        """
        known = len(self.decisions())
        done = self.lab.run([str(word) for word in command], user=user, stdin=stdin)
        is_through = done.returncode == 0
        record = self.next_decision(known)
        assert (record["verdict"] == "allow") == is_through, f"{done.stdout}{done.stderr}{record}"
        return record

    def forget_verdicts(self) -> None:
        """So that the next connection of a known program is decided and logged, too: a change of the rules does it."""
        self.daemon.edit_rules(f"{self._rules}deny {WORLD4} {next(self._ports)} tcp\n")

    def decisions(self) -> list[Record]:
        return [record for record in self.daemon.records() if _is_to_the_port(record)]

    def next_decision(self, known: int) -> Record:
        """Wait for the decision that follows the first `known` ones."""
        return self.daemon.wait_for_count(_is_to_the_port, known + 1)[-1]

    def settle(self) -> None:
        """Wait until all decisions so far are in the log: until a further one has been logged after them."""
        known = len([record for record in self.daemon.records("connection") if record["remote_port"] == SETTLING])
        self.lab.run(["bash", "-c", f"exec 3<>/dev/tcp/{WORLD4}/{SETTLING}"])
        self.daemon.wait_for_count(lambda record: record.get("remote_port") == SETTLING, known + 1)

    def assert_denied(self, *command: str | Path, stdin: str = "") -> Record:
        """Run a command as the attacker, and assert that its connection was denied."""
        record = self.run(*command, stdin=stdin)
        assert record["verdict"] == "deny", record
        return record


def _is_to_the_port(record: Record) -> bool:
    return record["event"] == "connection" and record["remote_port"] == int(PORT) and record["direction"] == "outbound"


TARGET = (WORLD4, PORT)
