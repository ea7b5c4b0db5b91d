"""A person at a desktop: sees which window is shown, and presses real keys of its X server."""

import re
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.lab.daemon import BIN, Daemon
from tests.lab.patience import WAIT_S, wait_until
from tests.lab.wakeups import are_at_rest
from tests.qt.screen import Screen


class Session(ABC):
    """Where `tinysnitch-prompt` may run; each kind has its own screen."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []  # ended with the session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()

    @abstractmethod
    def environment(self, **more: str) -> dict[str, str]:
        """The environment for programs that show their windows here."""

    def start_prompt(self, *flags: str, delay_s: float = 0.5) -> subprocess.Popen[str]:
        environment = self.environment(TINYSNITCH_DELAY_SECONDS=str(delay_s), DBUS_SESSION_BUS_ADDRESS="")
        command = [str(BIN / "tinysnitch-prompt"), *flags]
        prompt = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        self.processes.append(prompt)
        return prompt

    def attach_prompt(self, daemon: Daemon, *flags: str, delay_s: float = 0.5) -> subprocess.Popen[str]:
        """Start the prompt, and wait until the daemon has it."""
        before = prompt_clients(daemon)
        prompt = self.start_prompt("--socket", str(daemon.socket), *flags, delay_s=delay_s)
        wait_until(lambda: prompt_clients(daemon) > before)
        return prompt

    def stop(self, prompt: subprocess.Popen[str]) -> int:
        prompt.send_signal(signal.SIGTERM)
        return prompt.wait(timeout=WAIT_S)


class Desktop(Session):
    """A screen of X11 with a session of its own, and `tinysnitch-prompt` in it once it is started."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._screen = Screen(1280, 720)

    def __enter__(self) -> Self:
        self._screen.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        super().__exit__(kind, error, tb)
        self._screen.__exit__(kind, error, tb)

    def environment(self, **more: str) -> dict[str, str]:
        return self._screen.environment(XDG_RUNTIME_DIR=str(self.folder), **more)

    @contextmanager
    def as_environment(self) -> Iterator[None]:
        """What is started in the block finds this screen in its environment, as in a terminal of the session."""
        # With QT_QPA_PLATFORM, which tests that paint into memory set to what this screen never shows.
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment().items():
                patch.setenv(name, value)
            yield

    def see(self, title: str) -> None:
        """Wait for a window of this title, until it is painted, has the keyboard, and knows: no key counts before."""
        wait_until(lambda: self._has_keyboard(title) and self._screen.is_painted, f"no window {title!r}")
        self.rest()

    def rest(self) -> None:
        """Wait until the prompts have done all that they were told."""
        pids = [process.pid for process in self.processes]
        wait_until(lambda: are_at_rest(*pids), "it has always something to do")

    def see_nothing(self) -> None:
        """Wait until no window is there."""
        wait_until(lambda: not self.shows(""), "a window is there")

    def shows(self, title: str) -> bool:
        found = self._xdotool("search", "--onlyvisible", "--name", f"^{re.escape(title)}" if title else ".")
        return found.returncode == 0

    def _has_keyboard(self, title: str) -> bool:
        return self._xdotool("getwindowfocus", "-f", "getwindowname").stdout.startswith(title)

    def press(self, *keys: str) -> None:
        assert self._xdotool("key", "--delay", "60", *keys).returncode == 0

    def hold(self, key: str) -> None:
        """Press a key and keep it down: the server repeats it."""
        assert self._xdotool("keydown", key).returncode == 0

    def release(self, key: str) -> None:
        assert self._xdotool("keyup", key).returncode == 0

    def click(self, x: float, y: float, button: int = 1) -> None:
        assert self._xdotool("mousemove", str(int(x)), str(int(y)), "click", str(button)).returncode == 0

    def select(self, selection: str, text: str) -> None:
        """Copy a text (`clipboard`), or mark it (`primary`), as another program would."""
        command = ["xclip", "-quiet", "-selection", selection]  # in the foreground, to be ended with the desktop
        owner = subprocess.Popen(
            command, env=self._screen.environment(), stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.processes.append(owner)
        assert owner.stdin
        owner.stdin.write(text)
        owner.stdin.close()
        read = ["xclip", "-out", "-selection", selection]
        environment = self._screen.environment()
        wait_until(lambda: subprocess.run(read, env=environment, capture_output=True).stdout == text.encode())

    def _xdotool(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["xdotool", *words], env=self._screen.environment(), capture_output=True, text=True, timeout=WAIT_S
        )


def prompt_clients(daemon: Daemon) -> int:
    found = re.search(r'"prompt_clients":\s*(\d+)', daemon.cli("status", "--json").stdout)
    return int(found.group(1)) if found else 0
