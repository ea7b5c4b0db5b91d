"""Compiles long lists in processes of their own, one after the other, while the loop goes on."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

LIMIT_S = 300.0
_MODULE = "tinysnitch.store.compile_list"
_log = logging.getLogger(__name__)


class ListCompiler:
    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._turn = asyncio.Semaphore()
        self._limit_s = limit_s
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, source: Path, target: Path, done: Callable[[str], None]) -> None:
        """Compile the source into the target; `done` gets what went wrong, "" when nothing did."""
        work = self._compile(source.absolute(), target.absolute(), done)
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _compile(self, source: Path, target: Path, done: Callable[[str], None]) -> None:
        async with self._turn:
            try:
                problem = await self._run(source, target)
            except Exception as error:  # our bug; but rules that name the list wait for it
                _log.exception("failed: to compile %s", source)
                problem = f"{source}: reading it failed: {error}"
        done(problem)

    async def _run(self, source: Path, target: Path) -> str:
        command = [sys.executable, "-I", "-m", _MODULE, str(source), str(target)]
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # a Ctrl-C in our terminal is for us
            )
        except OSError as error:
            return f"cannot start {sys.executable}: {error.strerror}"
        try:
            async with asyncio.timeout(self._limit_s):
                _, said = await process.communicate()
        except TimeoutError:
            return f"{source}: not read within {self._limit_s:.0f} s"
        finally:
            await _end(process)
        if process.returncode == -signal.SIGKILL:
            return f"{source}: its reader was killed, for want of memory perhaps"
        lines = said.decode("utf-8", "replace").splitlines()
        return "" if process.returncode == 0 else (lines or [f"{source}: reading it failed"])[-1]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
