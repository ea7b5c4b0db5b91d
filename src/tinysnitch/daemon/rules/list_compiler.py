"""Compiles each long list in a process of its own, one list at a time, while the loop goes on."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

LIMIT_S = 300.0
_MODULE = "tinysnitch.store.compile_list"
_log = logging.getLogger(__name__)


class ListCompiler:
    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._turn = asyncio.Semaphore()
        self._limit_s = limit_s
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, source: Path, target: Path, done: Callable[[str], None]) -> None:
        """Compile the source into the target, later. `done` is called with the problem, or "" when there was none."""
        work = self._compile(source.absolute(), target.absolute(), done)
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _compile(self, source: Path, target: Path, done: Callable[[str], None]) -> None:
        async with self._turn:
            try:
                problem = await self._run(source, target)
            except Exception as error:  # our bug; `done` is called all the same, since rules wait for the list
                _log.exception("failed: to compile %s", source)
                problem = f"{source}: reading it failed: {error}"
        done(problem)

    async def _run(self, source: Path, target: Path) -> str:
        """Run the process; returns the problem, or "". Its standard error is a file and not a pipe: if the loop could
        not watch a pipe (epoll_ctl(2)) we would never learn of its end."""
        command = [sys.executable, "-I", "-m", _MODULE, str(source), str(target)]
        with ExitStack() as stack:
            try:
                said = stack.enter_context(os.fdopen(os.memfd_create("said"), "rb"))
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stderr=said,
                    start_new_session=True,  # a Ctrl-C in our terminal is for us
                )
            except OSError as error:
                return f"cannot start {sys.executable}: {error.strerror}"
            return await self._wait(process, source) or _find_problem(process, source, said)

    async def _wait(self, process: asyncio.subprocess.Process, source: Path) -> str:
        """Wait for its end, or kill it after the limit. Returns the problem, or ""."""
        try:
            async with asyncio.timeout(self._limit_s):
                await process.wait()
        except TimeoutError:
            return f"{source}: not read within {self._limit_s:.0f} s"
        finally:
            await _end(process)
        return ""

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _find_problem(process: asyncio.subprocess.Process, source: Path, said: BinaryIO) -> str:
    if process.returncode == -signal.SIGKILL:
        return f"{source}: its reader was killed, for want of memory perhaps"
    said.seek(0)
    lines = said.read().decode("utf-8", "replace").splitlines()
    return "" if process.returncode == 0 else (lines or [f"{source}: reading it failed"])[-1]


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
