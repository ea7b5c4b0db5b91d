"""A lab whose daemon allows and logs everything, for tests of attribution; one lab serves many of them."""

import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.lab.daemon import Daemon, Record
from tests.lab.lab import Lab
from tests.lab.world import PROGRAMS

PYTHON = "/usr/bin/python3"
ALLOW_ALL = "allow - - -\nallow - - -src\n"


class WatchedLab:
    lab: Lab
    daemon: Daemon

    def __init__(self, rules: str = ALLOW_ALL, *flags: str) -> None:
        self._rules = rules
        self._flags = flags

    @classmethod
    def watch(cls, lab: Lab) -> Self:
        """Start the daemon only now, in a lab in which something was done before."""
        watched = cls()
        watched.lab, watched.daemon = lab, lab.start_daemon(ALLOW_ALL)
        return watched

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self.lab = undo.enter_context(Lab())
            self.daemon = self.lab.start_daemon(self._rules, *self._flags)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._undo.close()

    def compile(self, name: str, *flags: str, place: Path | None = None) -> Path:
        """Compile a C program of tests/lab/programs into the lab's folder, or to `place`, unless it is there."""
        target = place or self.lab.folder / name
        if not target.exists():
            source = PROGRAMS / f"{name}.c"
            subprocess.run(["gcc", "-O1", "-Wall", "-Werror", *flags, "-o", str(target), str(source)], check=True)
        return target

    def run(self, command: list[str], user: str | None = None) -> str:
        """Run a client, which must succeed; what it printed."""
        done = self.lab.run(command, user=user)
        assert done.returncode == 0, f"{done.stderr}\n{self.daemon.describe()}"
        return done.stdout

    def use(self, command: list[str], user: str | None = None, **fields: object) -> Record:
        """Run a client that prints `PID LOCAL_PORT`; the decision on its connection, which must name that process."""
        pid, port = map(int, self.run(command, user).split())
        record = self.daemon.wait_connection(direction="outbound", local_port=port, pid=pid, **fields)
        assert record["attribution"] == "bpf"
        return record
