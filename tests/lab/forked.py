"""A command of ours that starts as a fork of a Python that has imported it (tests/lab/programs/template.py)."""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

from tests.lab.patience import WAIT_S

_TEMPLATE = Path(__file__).parent / "programs" / "template.py"


class Forked:
    """Like a subprocess.Popen of the command; `place` says where it runs (Namespaces.place_outside)."""

    stdin = None
    stderr = None

    def __init__(
        self, argv: list[str], place: dict[str, str], stdout: int | IO[str], stderr: IO[str], *, is_leader: bool
    ) -> None:
        self.args = argv
        self.stdout: IO[str] | None = None
        self.returncode: int | None = None
        outputs = []
        if stdout == subprocess.PIPE:
            reading, writing = os.pipe()
            self.stdout = os.fdopen(reading, errors="surrogateescape")
            outputs.append(writing)
        self._report, told = os.pipe()
        request = {
            "argv": argv,
            **place,
            "is_leader": is_leader,
            "folder": os.getcwd(),
            "environment": dict(os.environ),
        }
        with open(os.devnull) as nothing:
            streams = [nothing, *(outputs or [stdout]), stderr, told]
            descriptors = [one if isinstance(one, int) else one.fileno() for one in streams]
            socket.send_fds(_template(Path(argv[0]).name), [json.dumps(request).encode()], descriptors)
        for descriptor in (*outputs, told):
            os.close(descriptor)
        self.pid = int(self._read_line(WAIT_S) or 0)
        assert self.pid, f"{argv} does not start"

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        if (status := self._look(timeout)) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # another process reaps it
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout_s: float | None) -> int | None:
        if self.returncode is None and (line := self._read_line(timeout_s)):
            os.close(self._report)
            self.returncode = os.waitstatus_to_exitcode(int(line))
        return self.returncode

    def _read_line(self, timeout_s: float | None) -> bytes:
        """A line of the report, b"" when none comes in time. Each is written at once, and the second much later."""
        line = b""
        while not line.endswith(b"\n") and select.select([self._report], [], [], timeout_s)[0]:
            if not (byte := os.read(self._report, 1)):
                break
            line += byte
        return line


def run(argv: list[str], place: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; what it printed."""
    with (
        tempfile.TemporaryFile("w+", errors="surrogateescape") as stdout,
        tempfile.TemporaryFile("w+", errors="surrogateescape") as stderr,
    ):
        started = Forked(argv, place, stdout, stderr, is_leader=False)
        try:
            status = started.wait(WAIT_S)
        finally:
            started.kill()
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(argv, status, stdout.read(), stderr.read())


@cache
def _template(name: str) -> socket.socket:
    """It ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        leads = {"stdin": theirs, "stdout": subprocess.DEVNULL, "start_new_session": True}  # Ctrl-C is for the tests
        template = subprocess.Popen([sys.executable, str(_TEMPLATE), name], **leads)
    atexit.register(template.wait, WAIT_S)
    atexit.register(ours.close)  # the later registered is called first
    return ours
