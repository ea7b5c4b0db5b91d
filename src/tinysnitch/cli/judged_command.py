"""The command that `tinysnitch run` judges: looked up before anything starts, then executed in its cgroup.

While it runs, signals sent to us are for it; it may already have ended without our loop knowing yet.
"""

import asyncio
import errno
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.rules.quoting import quote_word

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # the exit codes of a shell for the same
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)  # sent to the whole foreground process group (termios(3), ISIG)
_FROM_OTHERS = (signal.SIGTERM, signal.SIGHUP)
_FREEZE_S = 0.1


class CommandNotRun(SnitchError):
    def __init__(self, name: str, problem: str, hint: str, exit_code: int) -> None:
        super().__init__(f"{quote_word(name)}: {problem}", hint)
        self.exit_code = exit_code


def check_command(name: str) -> None:
    """Raises CommandNotRun if the command cannot be executed, before a firewall is built for it."""
    if shutil.which(name):
        return
    if "/" not in name:
        raise CommandNotRun(name, "command not found", "is it installed, and in PATH?", _NOT_FOUND)
    if os.path.isdir(name):
        raise CommandNotRun(name, "is a directory", "name a program", _NOT_EXECUTABLE)
    if os.path.exists(name):
        raise CommandNotRun(name, "is not executable", f"chmod +x {name}", _NOT_EXECUTABLE)
    raise CommandNotRun(name, "no such file", "name a program", _NOT_FOUND)


def not_ignored(numbers: Iterable[signal.Signals]) -> list[signal.Signals]:
    """The signals without those that this process was started to ignore, by nohup(1) say: these stay ignored, and the
    command inherits that (execve(2))."""
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


class JudgedCommand:
    """While it runs, signals sent to us are passed on to the command; we end after it."""

    def __init__(self, has_terminal: bool) -> None:
        self._has_terminal = has_terminal
        self._cgroup = ""
        self._child: asyncio.subprocess.Process | None = None
        self._early: list[signal.Signals] = []  # came before the child was started
        self.signalled: Callable[[], None] = lambda: None  # called when it got a signal, before it goes on

    async def start(self, command: Sequence[str], cgroup: str) -> None:
        """Execute the command in the cgroup. Raises CommandNotRun, or SnitchError if the cgroup is gone."""
        self._listen()
        self._cgroup = cgroup
        try:
            # close_fds=False hands on the descriptors that we inherited: the shell's `<(...)` is one. Network sockets
            # among them were closed before (outside_sockets.py).
            enter = partial(_enter, cgroup)
            self._child = await asyncio.create_subprocess_exec(*command, preexec_fn=enter, close_fds=False)
        except subprocess.SubprocessError:  # preexec_fn failed: the cgroup, and so the daemon, is gone
            raise SnitchError("the command was not run: its firewall has ended", "try again") from None
        except OSError as error:
            raise _error_of_exec(command[0], error) from None
        for number in self._early:
            self._pass_on(number)

    async def wait(self) -> int:
        """The command's exit status, once it has ended; 128 + N if signal N killed it, as in a shell."""
        assert self._child
        status = await self._child.wait()
        return status if status >= 0 else 128 - status

    def pause(self, is_paused: bool) -> None:
        """Freeze the command and all that it started, or let them go on (cgroup-v2.rst, cgroup.freeze)."""
        with suppress(OSError):  # the firewall has ended and removed the cgroup
            Path(self._cgroup, "cgroup.freeze").write_text("1" if is_paused else "0")
            if is_paused:
                self._wait_frozen()

    def _wait_frozen(self) -> None:
        """Until nothing more is written, which would be lost on a prompt's screen. What cannot be frozen soon, since it
        waits for a disk, writes nothing either. A change of the file is a POLLPRI (cgroup-v2.rst, cgroup.events)."""
        deadline, changes = time.monotonic() + _FREEZE_S, select.poll()
        with Path(self._cgroup, "cgroup.events").open() as events:
            changes.register(events, select.POLLPRI)
            while "frozen 1" not in events.read():
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not changes.poll(left_s * 1000):
                    return
                events.seek(0)

    def _go_on(self) -> None:
        self.signalled()
        self.pause(False)

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in not_ignored((*_FROM_OTHERS, *_FROM_TERMINAL)):
            if self._has_terminal and number in _FROM_TERMINAL:
                loop.add_signal_handler(number, self._go_on)  # the terminal sent it to the command, too
            else:
                loop.add_signal_handler(number, self._pass_on, number)

    def _pass_on(self, number: signal.Signals) -> None:
        if self._child is None:
            self._early.append(number)
        else:
            send_signal(self._child, number)
            self._go_on()  # a frozen command would get the signal only once the question is answered


def send_signal(child: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """As Process.send_signal(), which before Python 3.13 may reap the child, so that `wait` returns 255 as status."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(child.pid, number)


def _error_of_exec(name: str, error: OSError) -> CommandNotRun:
    if error.errno == errno.ENOENT:  # execve(2): the interpreter of a script, or a program's loader, is missing
        return CommandNotRun(name, "its interpreter does not exist", "see its first line", _NOT_FOUND)
    if error.errno == errno.ENOEXEC:
        hint = f"begin it with #!/bin/sh, or run `sh {name}`"
        return CommandNotRun(name, "is neither a program nor a script", hint, _NOT_EXECUTABLE)
    return CommandNotRun(name, error.strerror or str(error), "", _NOT_EXECUTABLE)


def _enter(cgroup: str) -> None:
    """Move the child into the cgroup, before it executes the command (cgroups(7): 0 is the writing process)."""
    with open(f"{cgroup}/cgroup.procs", "w") as file:
        file.write("0")
