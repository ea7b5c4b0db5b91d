"""The prompt's app in a terminal that is not there, at a daemon that the test plays."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from unittest import mock

from textual.pilot import Pilot

from tests.tui.question_daemon import QuestionDaemon, question_daemon
from tests.tui.waiting import SCRIPT_S, until
from tinysnitch.tui.prompt_app import MakeApp, PromptApp
from tinysnitch.view import key_guard

Script = Callable[[QuestionDaemon, PromptApp, Pilot[None]], Awaitable[None]]


@asynccontextmanager
async def running(
    path: Path, delay_s: float, size: tuple[int, int], make_app: MakeApp = PromptApp
) -> AsyncIterator[tuple[QuestionDaemon, PromptApp, Pilot[None]]]:
    async with question_daemon(path) as daemon:
        app = make_app(str(path), delay_s)
        async with app.run_test(size=size) as pilot:
            await until(daemon.attached.is_set)
            yield daemon, app, pilot


def play(
    path: Path,
    script: Script,
    delay_s: float = 0.05,
    size: tuple[int, int] = (80, 24),
    make_app: MakeApp = PromptApp,
) -> None:
    async def run() -> None:
        # However slow the machine is: keys count when `until_ready` returns.
        with mock.patch.object(key_guard, "LATE_S", SCRIPT_S):
            await run_script()

    async def run_script() -> None:
        async with running(path, delay_s, size, make_app) as (daemon, app, pilot):
            async with asyncio.timeout(SCRIPT_S):
                await script(daemon, app, pilot)

    asyncio.run(run())


def screen_of(app: PromptApp) -> str:
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())


async def see(app: PromptApp, text: str) -> None:
    try:
        await until(lambda: text in screen_of(app))
    except TimeoutError:
        raise TimeoutError(f"{text!r} is not on the screen:\n{screen_of(app)}") from None


async def until_ready(app: PromptApp) -> None:
    await until(lambda: app.state.selected and app.state.guard.is_ready(asyncio.get_running_loop().time()))
