"""The lists of a folder. Each list stays as it was last read until its new state has been read.

1. A short list is read at once. A long one is compiled into the cache by a process of its own, one list at a time,
   while the loop goes on, and mapped from there; while its file is unchanged, the next daemon of the same build only
   maps it.
2. When a list cannot be read, what was read before stays, and it is tried again later: if processes, descriptors or
   room are short, no change of the file would tell when that is over. When its file is removed the list is removed.
3. Lists that no rule names are loaded too, so that a rule that names one holds at once.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.undecoded import MAX_BYTES
from tinysnitch.core.rules.remote_column import is_list_name
from tinysnitch.kernel.system.offload import Offload
from tinysnitch.store.compiled_list import CompiledList, compile_list, map_compiled
from tinysnitch.store.file_stamp import Stamp, read_stamp
from tinysnitch.store.locks import make_state_folder

AGAIN_S = 60.0  # how soon lists that could not be read are tried again
SHORT_BYTES = 256 << 10  # 10 000 names, read in 20 ms
LIMIT_S = 300.0  # of compiling one list
_MODULE = "tinysnitch.store.list_compiler"

_log = logging.getLogger(__name__)


class Compiler(Protocol):
    def begin(self, source: Path, target: Path, done: Callable[[str], None]) -> None: ...


class HeldList(msgspec.Struct):
    """What is known of one list."""

    tried: Stamp | None = None  # the state of the file that was last looked at
    compiled: CompiledList | None = None
    is_loading: bool = False
    problem: str = ""  # why the file could not be read as it is now


class ListLoader:
    def __init__(
        self,
        folder: Path,
        cache: Path,
        compiler: Compiler,
        changed: Callable[[], None] = lambda: None,
        *,
        failed: Callable[[float], None] = lambda _delay_s: None,
    ) -> None:
        """`changed` is called when a long list was loaded, or could not be. `failed` is called with the number of
        seconds after which to call `try_again`. Raises SnitchError when the cache is the folder of the lists."""
        if os.path.realpath(folder) == os.path.realpath(cache):  # a compiled list would replace its source
            hint = "name another folder with --lists or --state-dir"
            raise SnitchError(f"{folder} is where this daemon keeps compiled lists", hint)
        self.folder = folder
        self._cache = cache
        self._compiler = compiler
        self._changed = changed
        self._failed = failed
        self._offload = Offload()
        self._held: dict[str, HeldList] = {}
        self._is_silent = False  # the folder could not be listed in time

    def refresh(self) -> None:
        """Look at every file, and load those that changed."""
        try:
            self._is_silent, names = False, self._offload.look(self._find_names)
        except OSError as error:
            self._is_silent = isinstance(error, TimeoutError)
            self._fail_all(f"{self.folder}: {error.strerror}")
            return
        for name in self._held.keys() - names:
            del self._held[name]
        self._remove_unused(names)
        for name in sorted(names):
            self._look_at(name, self._held.setdefault(name, HeldList()))

    def try_again(self) -> None:
        """Have the lists that could not be read be read again."""
        for held in self._held.values():
            if held.problem and not held.is_loading:
                held.tried = None
        self._changed()

    def held(self) -> dict[str, HeldList]:
        return self._held

    def find(self, name: str) -> CompiledList | None:
        held = self._held.get(name)
        return held.compiled if held else None

    def is_awaited(self, names: Iterable[str]) -> bool:
        """Whether one of these lists is loaded for the first time, or may be in a folder that does not answer."""
        found = map(self._held.get, names)
        return any(held.is_loading and held.compiled is None if held else self._is_silent for held in found)

    def _find_names(self) -> set[str]:
        """The names of the lists; none when there is no folder. Raises OSError when it cannot be read."""
        try:
            return {path.name for path in self.folder.iterdir() if is_list_name(path.name) and path.is_file()}
        except (FileNotFoundError, NotADirectoryError):
            return set()

    def _remove_unused(self, names: set[str]) -> None:
        """Remove other lists from the cache, but no file that is being written there: its name begins with a dot."""
        is_writing = any(held.is_loading for held in self._held.values())
        with suppress(OSError):
            for path in self._cache.iterdir():
                if path.name not in names and not (is_writing and path.name.startswith(".")):
                    path.unlink()

    def _look_at(self, name: str, held: HeldList) -> None:
        path = self.folder / name
        try:
            stamp = read_stamp(path)
        except OSError as error:
            self._fail(held, str(error.strerror))
            return
        if held.is_loading or stamp == held.tried:
            return
        held.tried, held.problem = stamp, ""
        if stamp.size_bytes > MAX_BYTES:
            held.problem = f"larger than {MAX_BYTES >> 20} MB"
        elif stamp.size_bytes <= SHORT_BYTES:
            self._read_short(path, held)
            held.tried = stamp if stamp.is_settled() else None
        else:
            self._load_long(path, held, stamp)

    def _load_long(self, path: Path, held: HeldList, stamp: Stamp) -> None:
        compiled = map_compiled(self._cache / path.name)
        if compiled is not None and compiled.summary.is_of(stamp):
            held.compiled = compiled
            return
        try:
            make_state_folder(self._cache.parent)
            self._cache.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            self._fail(held, f"{self._cache}: {error.strerror}")
            return
        held.is_loading = True
        self._compiler.begin(path, self._cache / path.name, lambda problem: self._loaded(path.name, held, problem))

    def _loaded(self, name: str, held: HeldList, problem: str) -> None:
        """Map what was compiled. Where that failed, and nothing is held, what an earlier daemon compiled has to do."""
        held.is_loading = False
        held.problem = ""
        compiled = None if problem and held.compiled else map_compiled(self._cache / name)
        held.compiled = compiled or held.compiled
        if compiled and not problem:
            held.tried = compiled.summary.stamp
        else:  # perhaps it cannot be mapped for want of a descriptor: it is tried again, so that its rules match
            self._fail(held, problem or f"{self._cache / name}: it was compiled, and cannot be read")
        self._changed()

    def _read_short(self, path: Path, held: HeldList) -> None:
        try:
            held.compiled = compile_list(path)
        except OSError as error:
            self._fail(held, str(error.strerror))

    def _fail_all(self, problem: str) -> None:
        """Note the problem with every list. What was read stays: otherwise `deny @LIST` would deny nothing."""
        for held in self._held.values():
            held.problem = problem
        self._failed(AGAIN_S)

    def _fail(self, held: HeldList, problem: str) -> None:
        held.problem = problem
        self._failed(AGAIN_S)


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
