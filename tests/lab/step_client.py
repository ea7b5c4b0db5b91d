"""One process that makes connections one at a time, when the test tells it to."""

import subprocess

from tests.lab.lab import Lab
from tests.lab.patience import WAIT_S, read_line, write_line
from tests.lab.world import PROGRAMS

PROGRAM = str(PROGRAMS / "step_client.py")


class StepClient:
    """`tests/lab/programs/step_client.py`, running on the host's side."""

    def __init__(self, lab: Lab) -> None:
        self.process = lab.spawn(["/usr/bin/python3", PROGRAM], stdin=subprocess.PIPE)

    def start(self, protocol: str, address: str, port: int) -> None:
        """Begin a connection; `result` tells how it went."""
        write_line(self.process, f"{protocol} {address} {port}")

    def result(self) -> str:
        """Wait until the connection is made or refused: `ok`, or the name of the error."""
        return read_line(self.process).strip()

    def connect(self, address: str, port: int, protocol: str = "tcp") -> str:
        """Make a connection: `ok`, or the name of the error."""
        self.start(protocol, address, port)
        return self.result()

    def end(self) -> None:
        """Let the process end by itself, and wait until it has."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=WAIT_S)
