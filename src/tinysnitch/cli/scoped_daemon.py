"""The daemon of `tinysnitch run`: started for one command, followed through its log, and ended after the command."""

import asyncio
import ctypes
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tinysnitch.cli.judged_command import send_signal
from tinysnitch.core.model.errors import Malformed, SnitchError
from tinysnitch.protocol.log_lines import AskLine, ConnectionLine, LogLine, ReadyLine, RulesLine, parse_log_line
from tinysnitch.view.run_summary import RunSummary

_LINE_LIMIT = 1 << 20  # bytes of one log line
_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None)


class FirewallNotStarted(SnitchError):
    """Carries the daemon's exit code. The daemon itself has printed why it did not start, unless it was killed."""

    def __init__(self, status: int) -> None:
        hint = "tinysnitchd said why above"
        if status < 0:
            hint = f"tinysnitchd was killed by signal {-status}: `dmesg` tells whether there was too little memory"
        super().__init__("the command was not run: its firewall did not start", hint)
        self.exit_code = status if status > 0 else 1


class ScopedDaemon:
    """`summary` sums up what was decided and asked so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._follower: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._is_ready = False
        self.summary = RunSummary()

    @classmethod
    async def start(cls, words: Sequence[str]) -> "ScopedDaemon":
        """Start it in a session of its own: Ctrl-C must reach the command, and not the firewall, which ends last."""
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
        """Returns once enforcement stands. Raises FirewallNotStarted."""
        while (line := await self._read_line()) is not None:
            if isinstance(line, ReadyLine):
                self._is_ready = True
                return line
        raise FirewallNotStarted(await self._process.wait())

    def follow(self, complain: Callable[[str, str], None]) -> None:
        """Sum up what is tried from now on. `complain` is called with the error and hint of what goes wrong."""
        self._follower = asyncio.create_task(self._collect(complain))

    async def _collect(self, complain: Callable[[str, str], None]) -> None:
        while (line := await self._read_line()) is not None:
            if isinstance(line, ConnectionLine | AskLine):
                self.summary.add(line)
            elif isinstance(line, RulesLine):
                for error in line.errors:
                    complain(error, "the file is not loaded before all of its lines are right")
        if not self._is_stopping:
            complain("the firewall ended before the command", "nothing unknown is let through now")

    async def stop(self) -> None:
        """End it, and read its last lines. It ends what still runs in the cgroup, and removes that; if it was killed or
        fails, its `--remove-run` does."""
        self._is_stopping = True
        send_signal(self._process, signal.SIGTERM)
        if self._follower:
            await self._follower
        else:
            await self._process.communicate()  # read the rest: it could not end while its pipe is full
        status = await self._process.wait()
        if status < 0 or (self._is_ready and status):  # it was killed, or failed to undo what it did
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
    """The path of the tinysnitchd that was installed with this command, else of that in PATH. Raises SnitchError."""
    beside = Path(sys.executable).with_name("tinysnitchd")
    found = str(beside) if beside.exists() else shutil.which("tinysnitchd")
    if found is None:
        raise SnitchError("tinysnitchd is not installed", "it is where `tinysnitch` was installed, too")
    return found


def _end_with_parent() -> None:
    """In the child: if `tinysnitch run` is killed, the kernel sends SIGTERM to the daemon, which then ends the command
    and removes the firewall. The signal is blocked until the daemon handles it (stop_signals.py): before, it would
    die of it and leave behind what it has set up."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
