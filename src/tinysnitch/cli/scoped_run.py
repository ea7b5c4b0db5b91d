"""Runs one command under a daemon of its own: starts both, asks in the terminal, and sums up at the end."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TextIO

from tinysnitch.cli.judged_command import JudgedCommand, check_command, not_ignored
from tinysnitch.cli.outside_sockets import keep_back_sockets, tell_of_engine
from tinysnitch.cli.scoped_daemon import ScopedDaemon
from tinysnitch.client.control_client import ControlClient
from tinysnitch.client.user_names import find_user
from tinysnitch.commandline.notes import print_bare_note, print_error, print_note, print_snitch_error
from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.core.rules.learned_line import split_learned
from tinysnitch.protocol.framing import DEFAULT_SOCKET
from tinysnitch.protocol.messages import LEARNED_RULES, ReadStatus, Status

_TTY = "/dev/tty"
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_LONGEST_PLACE = 70  # bytes: a socket's path has at most 107 (unix(7)), and our folder and its name need some of them
_BUG_HINT = "what no rule covers is denied when its time is over; please report this"
_WAIT_S = 1.0  # for the machine's daemon
_PROGRAM_WIDTH = 36  # columns of a program's path in the summary on a terminal; elsewhere paths are printed whole


class ScopedRun:
    def __init__(
        self, command: Sequence[str], *, rules: str | None, is_learning: bool, socket_path: str | None, is_plain: bool
    ) -> None:
        self._command = command
        self._rules = rules
        self._is_learning = is_learning
        self._socket_path = socket_path
        self._is_plain = is_plain
        self._has_terminal = is_terminal()
        self._ended_by = 0  # the signal that ended us before the command was started

    async def run(self) -> int:
        """The command's exit status. Raises SnitchError when it or its firewall cannot start."""
        if os.geteuid() != 0:
            raise NotPermitted("tinysnitch run needs root", "try it with sudo")
        check_command(self._command[0])
        tell_of_engine(self._command[0])
        keep_back_sockets()
        try:
            return await self._run_and_undo()
        finally:  # all is undone: another Ctrl-C could only interrupt Python's own shutdown, with a traceback
            signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)

    async def _run_and_undo(self) -> int:
        with tempfile.TemporaryDirectory(prefix="tinysnitch-run-", dir=_find_place()) as folder:
            try:
                self._let_signals_cancel()
                with _open_learned_rules(Path(folder, "state")) as learned_rules:
                    status = await self._run_in(folder)
                    _show_learned(learned_rules)
                    return status
            except asyncio.CancelledError:
                if self._ended_by:
                    return 128 + self._ended_by
                raise

    def _let_signals_cancel(self) -> None:
        """Have signals cancel the start, until there is a command that they are passed on to. Only the first signal
        cancels: the others must not disturb the undo."""
        task = asyncio.current_task()
        assert task

        def cancel(number: int) -> None:
            if not self._ended_by:
                self._ended_by = number
                task.cancel()

        for number in not_ignored(_ENDING):
            asyncio.get_running_loop().add_signal_handler(number, cancel, number)

    async def _run_in(self, folder: str) -> int:
        socket_path = self._socket_path or f"{folder}/socket"
        daemon = await ScopedDaemon.start(self._daemon_words(folder, socket_path))
        try:
            ready = await daemon.wait_ready()
            daemon.follow(print_error)
            command = JudgedCommand(self._has_terminal)
            await command.start(self._command, ready.cgroup)
            prompt = asyncio.create_task(self._ask(socket_path, command))
            status = await command.wait()
            prompt.cancel()
            await asyncio.gather(prompt, return_exceptions=True)
        finally:
            await daemon.stop()
        width = _PROGRAM_WIDTH if os.isatty(1) and os.isatty(2) else None
        lines = list(daemon.summary.lines(width, find_user))
        for line in lines:
            print_note(line)
        if lines:
            tell_of_daemon(DEFAULT_SOCKET)
        return status

    def _daemon_words(self, folder: str, socket_path: str) -> list[str]:
        words = ["--run-folder", folder, "--state-dir", f"{folder}/state", "--socket", socket_path]
        words += ["--rules", self._rules] if self._rules else []
        words += ["--learn"] if self._is_learning else []
        can_ask = self._has_terminal or self._socket_path
        return words if can_ask else [*words, "--timeout", "0"]

    async def _ask(self, socket_path: str, command: JudgedCommand) -> None:
        if not self._has_terminal or self._is_learning:
            return
        from tinysnitch.tui.plain_prompt import run_plain_prompt
        from tinysnitch.tui.second_screen import has_second_screen

        is_plain = self._is_plain or not has_second_screen(os.environ)
        try:
            await run_plain_prompt(socket_path, _TTY, host=command, is_plain=is_plain)
        except SnitchError as error:
            print_snitch_error(error)
        except Exception as error:  # this task is awaited only after the command, where it would be ignored
            print_error(f"the prompt failed: {error}", _BUG_HINT)


def _open_learned_rules(state_dir: Path) -> TextIO:
    """Create and open the file that the daemon will write to: the daemon removes its folder when it ends."""
    state_dir.mkdir(mode=0o700)
    for_root = partial(os.open, mode=0o600)  # as the daemon makes it: rules hold arguments
    return open(state_dir / LEARNED_RULES, "x+", encoding="utf-8", opener=for_root)


def _show_learned(learned_rules: TextIO) -> None:
    """Print the rules for what `--learn` let pass, as lines to copy into a rules file."""
    _header, *rules = learned_rules.read().split("\n")
    if rules:
        print_note("rules that would allow what no rule decided:")
    for line in filter(None, rules):
        print_bare_note(split_learned(line)[0])


def tell_of_daemon(socket_path: str) -> None:
    """Say that the machine has a daemon here, which may have refused what our own allowed."""
    with suppress(SnitchError), ControlClient(socket_path, _WAIT_S) as client:
        if client.ask_one(ReadStatus(), Status).netns == os.stat("/proc/self/ns/net").st_ino:
            print_note("a daemon judges this machine, too: `tinysnitch log` shows what it refused")


def _find_place() -> str:
    """The folder for temporary files, or /run if that one's path is too long for a socket in it."""
    try:
        usual = tempfile.gettempdir()
    except FileNotFoundError:  # gettempdir() could write to none: read-only, or full
        problem = "no folder for temporary files can be written to"
        raise SnitchError(problem, "name one with TMPDIR=, or make room") from None
    return usual if len(os.fsencode(usual)) <= _LONGEST_PLACE else "/run"


def is_terminal() -> bool:
    """Whether this process has a terminal, on which a person can be asked."""
    try:
        os.close(os.open(_TTY, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
