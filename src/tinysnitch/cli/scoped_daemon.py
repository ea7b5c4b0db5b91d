"""The daemon of one command: started for it, followed by its log, and ended after it."""

import asyncio
import ctypes
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tinysnitch.cli.child_signal import send_signal
from tinysnitch.core.errors import Malformed, SnitchError
from tinysnitch.protocol.log_lines import AskLine, ConnectionLine, LogLine, ReadyLine, RulesLine, parse_log_line
from tinysnitch.view.run_summary import RunSummary

_LINE_LIMIT = 1 << 20  # bytes of one log line
_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None)


class FirewallNotStarted(SnitchError):
    """The daemon has said why, unless it was killed; its exit code is passed on."""

    def __init__(self, status: int) -> None:
        hint = "tinysnitchd said why, above"
        if status < 0:
            hint = f"tinysnitchd was killed by signal {-status}: `dmesg` tells whether there was too little memory"
        super().__init__("the command was not run, since its firewall did not start", hint)
        self.exit_code = status if status > 0 else 1


class ScopedDaemon:
    """`summary` is of what was decided and asked so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._follower: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._is_ready = False
        self.summary = RunSummary()

    @classmethod
    async def start(cls, words: Sequence[str]) -> "ScopedDaemon":
        """In a session of its own: Ctrl-C is for the command, the firewall goes last."""
        process = await asyncio.create_subprocess_exec(
            find_daemon(),
            "--scoped",
            *("--log", "json"),
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_end_with_parent,
            limit=_LINE_LIMIT,
        )
        return cls(process)

    async def wait_ready(self) -> ReadyLine:
        """Once enforcement stands. Raises FirewallNotStarted."""
        while (line := await self._read_line()) is not None:
            if isinstance(line, ReadyLine):
                self._is_ready = True
                return line
        raise FirewallNotStarted(await self._process.wait())

    def follow(self, complain: Callable[[str, str], None]) -> None:
        """Collect what is tried from now on; `complain` is told error and hint of what goes wrong meanwhile."""
        self._follower = asyncio.create_task(self._collect(complain))

    async def _collect(self, complain: Callable[[str, str], None]) -> None:
        while (line := await self._read_line()) is not None:
            if isinstance(line, ConnectionLine | AskLine):
                self.summary.add(line)
            elif isinstance(line, RulesLine):
                for error in line.errors:
                    complain(error, "no line of the file holds before all of them are right")
        if not self._is_stopping:
            complain("the firewall ended before the command", "what is unknown is not let through")

    async def stop(self) -> None:
        """End it; it takes the cgroup and what still runs in it away, or we do. Its last lines count."""
        self._is_stopping = True
        send_signal(self._process, signal.SIGTERM)
        if self._follower:
            await self._follower
        else:
            await self._process.communicate()  # a full pipe must not keep it
        status = await self._process.wait()
        if status < 0 or (self._is_ready and status):  # killed, or its own undo failed
            await self._remove_leftovers()

    async def _remove_leftovers(self) -> None:
        words = (find_daemon(), "--remove-run", str(self._process.pid))
        cleaner = await asyncio.create_subprocess_exec(*words, start_new_session=True)
        await cleaner.wait()

    async def _read_line(self) -> LogLine | None:
        """The next line of its log, None at the end."""
        assert self._process.stdout
        while raw := await self._process.stdout.readline():
            with suppress(Malformed):
                return parse_log_line(raw.rstrip())
        return None


def find_daemon() -> str:
    """tinysnitchd as it was installed with this command, else from PATH. Raises SnitchError."""
    beside = Path(sys.executable).with_name("tinysnitchd")
    found = str(beside) if beside.exists() else shutil.which("tinysnitchd")
    if found is None:
        raise SnitchError("tinysnitchd is not installed", "`make setup` leaves it in .venv/bin")
    return found


def _end_with_parent() -> None:
    """In the child: should `tinysnitch run` be killed, its firewall and what it judges end too. Not before the daemon
    listens for that (Stop): it takes away what there is by then."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
