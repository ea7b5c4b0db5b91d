"""One command under a daemon of its own: start the daemon, put the command into its cgroup, ask, and sum up."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tinysnitch.cli.output import print_error, print_note
from tinysnitch.core.errors import Malformed, SnitchError
from tinysnitch.protocol.log_lines import ConnectionLine, LogLine, ReadyLine, parse_log_line
from tinysnitch.view.run_summary import summarize_run

_TTY = "/dev/tty"
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # as a shell says it
_LINE_LIMIT = 1 << 20  # bytes of one log line


class ScopedRun:
    def __init__(
        self, command: Sequence[str], *, rules: str | None, is_learning: bool, socket_path: str | None
    ) -> None:
        self._command = command
        self._rules = rules
        self._is_learning = is_learning
        self._socket_path = socket_path
        self._has_terminal = not is_learning and _is_terminal()
        self._connections: list[ConnectionLine] = []
        self._reader: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """The command's exit status. Raises SnitchError when the firewall cannot start."""
        with tempfile.TemporaryDirectory(prefix="tinysnitch-run-") as folder:
            socket_path = self._socket_path or f"{folder}/socket"
            daemon = await self._start_daemon(folder, socket_path)
            try:
                ready = await self._wait_ready(daemon)
                status = await self._run_command(daemon, ready, socket_path)
            finally:
                await self._stop(daemon)
        for line in summarize_run(self._connections):
            print_note(line)
        return status

    async def _start_daemon(self, folder: str, socket_path: str) -> asyncio.subprocess.Process:
        """In a session of its own: Ctrl-C is for the command, the firewall goes last."""
        words = ["--scoped", "--state-dir", f"{folder}/state", "--socket", socket_path, "--log", "json"]
        words += ["--rules", self._rules] if self._rules else []
        words += ["--learn"] if self._is_learning else []
        words += [] if self._has_terminal or self._socket_path else ["--timeout", "0"]
        return await asyncio.create_subprocess_exec(
            find_daemon(),
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=_LINE_LIMIT,
        )

    async def _wait_ready(self, daemon: asyncio.subprocess.Process) -> ReadyLine:
        while (line := await _read_line(daemon)) is not None:
            if isinstance(line, ReadyLine):
                return line
        raise FirewallNotStarted(await daemon.wait())

    async def _run_command(self, daemon: asyncio.subprocess.Process, ready: ReadyLine, socket_path: str) -> int:
        loop = asyncio.get_running_loop()
        self._reader = loop.create_task(self._collect(daemon))
        try:
            child = await asyncio.create_subprocess_exec(
                *self._command, preexec_fn=lambda: _enter(ready.cgroup), restore_signals=True
            )
        except OSError as error:
            print_error(f"{self._command[0]}: {error.strerror}")
            return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # the terminal sends it to the command as well
        loop.add_signal_handler(signal.SIGTERM, child.terminate)
        prompt = loop.create_task(self._ask(socket_path))
        status = await child.wait()
        prompt.cancel()
        await asyncio.gather(prompt, return_exceptions=True)
        if self._reader.done():
            print_error("the firewall ended before the command", "what the command did after that was refused")
        return status if status >= 0 else 128 - status

    async def _ask(self, socket_path: str) -> None:
        if self._has_terminal:
            from tinysnitch.tui.plain_prompt import PlainPrompt

            await PlainPrompt(is_guest=True).run(socket_path, _TTY)

    async def _collect(self, daemon: asyncio.subprocess.Process) -> None:
        while (line := await _read_line(daemon)) is not None:
            if isinstance(line, ConnectionLine):
                self._connections.append(line)

    async def _stop(self, daemon: asyncio.subprocess.Process) -> None:
        """End the daemon, which takes the cgroup and what still runs in it away; its last lines count."""
        if daemon.returncode is None:
            daemon.terminate()
        await daemon.wait()
        if self._reader:
            await self._reader


class FirewallNotStarted(SnitchError):
    """The daemon has said why; its exit code is passed on."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("the command was not run, since its firewall did not start")
        self.exit_code = exit_code or 1


def find_daemon() -> str:
    """tinysnitchd as it was installed with this command, else from PATH."""
    beside = Path(sys.executable).with_name("tinysnitchd")
    found = str(beside) if beside.exists() else shutil.which("tinysnitchd")
    if found is None:
        raise SnitchError("tinysnitchd is not installed", "`make setup` leaves it in .venv/bin")
    return found


async def _read_line(daemon: asyncio.subprocess.Process) -> LogLine | None:
    """The next line of the daemon's log, None at its end."""
    assert daemon.stdout
    while raw := await daemon.stdout.readline():
        try:
            return parse_log_line(raw.rstrip())
        except Malformed:
            continue
    return None


def _enter(cgroup: str) -> None:
    """In the child, before it becomes the command (cgroups(7): 0 is the writing process)."""
    with open(f"{cgroup}/cgroup.procs", "w") as file:
        file.write("0")


def _is_terminal() -> bool:
    """Whether there is someone to ask."""
    try:
        os.close(os.open(_TTY, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
