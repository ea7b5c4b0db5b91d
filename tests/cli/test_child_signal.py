import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from contextlib import suppress

import pytest

from tinysnitch.cli.child_signal import send_signal


async def _start(script: str) -> Process:
    child = await asyncio.create_subprocess_exec("sh", "-c", script, stdin=PIPE, stdout=PIPE)
    assert child.stdout
    await child.stdout.readline()  # the child runs
    return child


def test_a_child_gets_it() -> None:
    async def play() -> int:
        child = await _start("trap 'exit 9' TERM; echo; read never")
        send_signal(child, signal.SIGTERM)
        return await child.wait()

    assert asyncio.run(play()) == 9


@pytest.mark.parametrize("is_told", [False, True])
def test_one_that_has_ended_keeps_its_status(is_told: bool) -> None:
    async def play() -> int:
        child = await _start("echo; read line; exit 3")
        assert child.stdin
        child.stdin.write(b"\n")
        with suppress(ChildProcessError):  # Python 3.11 waits in a thread, which may be faster
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - the loop has no turn meanwhile
        if is_told:
            await child.wait()
        send_signal(child, signal.SIGTERM)
        return await child.wait()

    assert asyncio.run(play()) == 3
