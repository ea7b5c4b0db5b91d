"""The plain prompt on a pseudo-terminal, at a daemon that the test plays."""

import asyncio
import os
import pty
import re
import termios
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.tui.question_daemon import QuestionDaemon, question_daemon
from tests.tui.waiting import SCRIPT_S, until
from tests.view.sample_prompts import prompt_of
from tinysnitch.tui.plain_prompt import run_plain_prompt

STYLE = re.compile(r"\x1b\[[0-9;]*m")  # bold and the like, of which a sentence may have several


class Person:
    """Someone at a pseudo-terminal: reads what is printed, types keys."""

    def __init__(self) -> None:
        self.master, self._slave = pty.openpty()
        self.tty_path = os.ttyname(self._slave)
        self.before = self.settings()
        self.seen = ""
        asyncio.get_running_loop().add_reader(self.master, self._read)

    def _read(self) -> None:
        written = os.read(self.master, 65536).decode().replace("\r\n", "\n")
        self.seen = STYLE.sub("", self.seen + written)

    def settings(self) -> list[object]:
        return termios.tcgetattr(self._slave)

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    async def see(self, text: str) -> None:
        """Wait for the text, and forget everything up to it."""
        try:
            await until(lambda: text in self.seen)
        except TimeoutError:
            raise TimeoutError(f"{text!r} is not in {self.seen!r}") from None
        self.seen = self.seen.partition(text)[2]

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.master)
        os.close(self._slave)


async def ask(daemon: QuestionDaemon, person: Person, number: int = 1) -> None:
    """Wait until keys count."""
    daemon.open(prompt_of(number))
    await person.see("keys: ")


Script = Callable[[QuestionDaemon, Person], Awaitable[None]]


class Command:
    """Whose guest the prompt is."""

    def __init__(self) -> None:
        self.pauses: list[bool] = []
        self.signalled: Callable[[], None] = lambda: None

    def pause(self, is_paused: bool, /) -> None:
        self.pauses.append(is_paused)


def play(
    tmp_path: Path,
    script: Script,
    *,
    delay_s: float | None = None,
    is_guest: bool = False,
    screen_of: Command | None = None,
) -> int:
    """Run the script beside the prompt until the prompt ends; the terminal must be as it was. `screen_of`: it asks on
    the second screen, as this command's guest."""
    host = screen_of or (Command() if is_guest else None)

    async def run() -> int:
        async with question_daemon(tmp_path / "s") as daemon:
            person = Person()
            try:
                asking = asyncio.create_task(
                    run_plain_prompt(
                        str(tmp_path / "s"), person.tty_path, delay_s=delay_s, host=host, is_plain=not screen_of
                    )
                )
                await until(daemon.attached.is_set)
                async with asyncio.timeout(SCRIPT_S):
                    await script(daemon, person)
                if host:  # as if the command ended
                    asking.cancel()
                    await asyncio.gather(asking, return_exceptions=True)
                status = 0 if host else await asyncio.wait_for(asking, 60)
                assert person.settings() == person.before
                return status
            finally:
                person.close()

    return asyncio.run(run())
