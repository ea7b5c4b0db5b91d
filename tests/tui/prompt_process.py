"""`tinysnitch prompt` as a process of its own, on a pseudo-terminal."""

import asyncio
import os
import pty
import re
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TerminalPrompt:
    process: asyncio.subprocess.Process
    master: int  # the person's end of the terminal
    slave: int
    modes: object  # settings of the terminal before the prompt took it
    screen: bytearray  # all that was written

    @property
    def shown(self) -> bytes:
        """What was written, without styles, of which a sentence has several (SGR, ECMA-48 8.3.117)."""
        return re.sub(rb"\x1b\[[0-9;]*m", b"", self.screen)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def is_put_back(self) -> bool:
        return termios.tcgetattr(self.slave) == self.modes


@asynccontextmanager
async def running_in_terminal(
    socket: Path, slave: int, command: str = "prompt", **more: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Ends the prompt even if the test fails."""
    code = "from tinysnitch.commandline.entry import tinysnitch; tinysnitch()"
    words = (command, "--socket", str(socket))
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", "PYTHONUNBUFFERED": "", **more}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *words, stdin=slave, stdout=slave, stderr=slave, env=environment
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def prompt_in_terminal(socket: Path, command: str = "prompt", **more: str) -> AsyncIterator[TerminalPrompt]:
    """Wait for the prompt's end, reading its terminal meanwhile."""
    loop, screen = asyncio.get_running_loop(), bytearray()
    master, slave = pty.openpty()
    try:
        termios.tcsetwinsize(slave, (24, 80))
        modes = termios.tcgetattr(slave)
        loop.add_reader(master, lambda: screen.extend(os.read(master, 65536)))
        async with running_in_terminal(socket, slave, command, **more) as process:
            yield TerminalPrompt(process, master, slave, modes, screen)
    finally:
        loop.remove_reader(master)
        os.close(master)
        os.close(slave)
