"""The command of `tinysnitch run`: found before anything starts, then executed in its cgroup."""

import asyncio
import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from tinysnitch.cli.child_signal import send_signal
from tinysnitch.core.errors import SnitchError
from tinysnitch.core.words import quote_word

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # as a shell says it
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)  # termios(3), ISIG: every process of the foreground group gets them
_FROM_OTHERS = (signal.SIGTERM, signal.SIGHUP)


class CommandNotRun(SnitchError):
    def __init__(self, name: str, problem: str, hint: str, exit_code: int) -> None:
        super().__init__(f"{quote_word(name)}: {problem}", hint)
        self.exit_code = exit_code


def check_command(name: str) -> None:
    """Raises CommandNotRun for what can't be executed, before a firewall is built for it."""
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
    """What we were started to ignore, by nohup(1) say, stays ignored: the command inherits that (execve(2))."""
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


class JudgedCommand:
    """What signals us meanwhile is for the command, and we stay until it has ended."""

    def __init__(self, has_terminal: bool) -> None:
        self._has_terminal = has_terminal
        self._cgroup = ""
        self._child: asyncio.subprocess.Process | None = None
        self._early: list[signal.Signals] = []  # that came before there was a child

    async def start(self, command: Sequence[str], cgroup: str) -> None:
        """Raises CommandNotRun."""
        self._listen()
        self._cgroup = cgroup
        try:
            # With the descriptors that we were given: a `<(...)` of the shell's is one (but see outside_sockets).
            enter = partial(_enter, cgroup)
            self._child = await asyncio.create_subprocess_exec(*command, preexec_fn=enter, close_fds=False)
        except subprocess.SubprocessError:  # all that is told of an error in preexec_fn
            raise SnitchError("the command was not run, since its firewall is gone", "try it again") from None
        except OSError as error:
            raise _error_of_exec(command[0], error) from None
        for number in self._early:
            self._pass_on(number)

    async def wait(self) -> int:
        """Its exit status, as a shell says it."""
        assert self._child
        status = await self._child.wait()
        return status if status >= 0 else 128 - status

    def pause(self, is_paused: bool) -> None:
        """Have all that the command started stand still, or go on (cgroup-v2.rst, cgroup.freeze)."""
        with suppress(OSError):  # the cgroup is gone with the firewall
            Path(self._cgroup, "cgroup.freeze").write_text("1" if is_paused else "0")

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in not_ignored((*_FROM_OTHERS, *_FROM_TERMINAL)):
            if self._has_terminal and number in _FROM_TERMINAL:
                loop.add_signal_handler(number, self.pause, False)  # the command has it already
            else:
                loop.add_signal_handler(number, self._pass_on, number)

    def _pass_on(self, number: signal.Signals) -> None:
        if self._child is None:
            self._early.append(number)
        else:
            send_signal(self._child, number)
            self.pause(False)  # else it would come to know of it once the question is answered


def _error_of_exec(name: str, error: OSError) -> CommandNotRun:
    if error.errno == errno.ENOENT:  # execve(2): the interpreter of a script, or the loader of a program
        return CommandNotRun(name, "its interpreter does not exist", "see its first line", _NOT_FOUND)
    if error.errno == errno.ENOEXEC:
        return CommandNotRun(name, "is no program", f"begin it with #!/bin/sh, or run `sh {name}`", _NOT_EXECUTABLE)
    return CommandNotRun(name, error.strerror or str(error), "", _NOT_EXECUTABLE)


def _enter(cgroup: str) -> None:
    """In the child, before it becomes the command (cgroups(7): 0 is the writing process)."""
    with open(f"{cgroup}/cgroup.procs", "w") as file:
        file.write("0")
