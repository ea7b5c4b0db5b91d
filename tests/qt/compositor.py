"""A person at a Wayland desktop: a compositor without a monitor, which reports its windows, and a keyboard."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.lab.patience import wait_until
from tests.qt.desktop import WAIT_S, Session

TOOLS = ("sway", "swaymsg", "wtype")
_CONFIG = "output HEADLESS-1 resolution 1280x720\n"
_HEADLESS = {
    "WLR_BACKENDS": "headless",
    "WLR_LIBINPUT_NO_DEVICES": "1",
    "WLR_RENDERER": "pixman",
}  # read by wlroots
_NO_KEY_MS = "3600000"


class Compositor(Session):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._socket = folder / "sway"  # sway(1): where the variable says

    def __enter__(self) -> Self:
        config = self.folder / "config"
        config.write_text(_CONFIG)
        environment = {**self.environment(**_HEADLESS), "WAYLAND_DISPLAY": ""}
        with (self.folder / "stderr").open("w") as stderr:
            server = subprocess.Popen(["sway", "--config", str(config)], env=environment, stderr=stderr, text=True)
        self.processes.append(server)
        try:
            wait_until(lambda: self._socket.exists() and self._shown() == [], "sway does not start")
            # wtype(1) adds a keyboard and removes it again: with another one that stays, windows keep the focus.
            self.processes.append(subprocess.Popen(["wtype", "-s", _NO_KEY_MS], env=self.environment(), text=True))
        except BaseException as error:
            self.__exit__(None, None, None)
            error.add_note((self.folder / "stderr").read_text())
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.processes.reverse()  # its clients end first
        super().__exit__(kind, error, tb)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TINYSNITCH_", "QT_"))}
        ours = {"WAYLAND_DISPLAY": "wayland-1", "XDG_RUNTIME_DIR": str(self.folder), "SWAYSOCK": str(self._socket)}
        return {**kept, "DISPLAY": "", **ours, **more}

    def see(self, title: str) -> None:
        """Wait until the window with the keyboard, in front of all others, has this title."""
        wait_until(lambda: any(one["focused"] and str(one["name"]).startswith(title) for one in self._shown()), title)

    def see_nothing(self) -> None:
        wait_until(lambda: self._shown() == [], "a window is there")

    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of the windows that can be seen."""
        return [(one["rect"]["width"], one["rect"]["height"]) for one in self._shown()]

    def fill_screen(self) -> None:
        """Give the window with the keyboard the whole screen, as a person can give it to any."""
        command = ["swaymsg", "fullscreen", "enable"]
        subprocess.run(command, env=self.environment(), check=True, capture_output=True, timeout=WAIT_S)

    def press(self, *keys: str) -> None:
        """Names of keys as xkbcommon has them."""
        for key in keys:
            subprocess.run(["wtype", "-k", key], env=self.environment(), check=True, timeout=WAIT_S)

    def _shown(self) -> list[dict[str, Any]]:
        """The windows that can be seen."""
        command = ["swaymsg", "--raw", "--type", "get_tree"]
        told = subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=WAIT_S)
        return [one for one in _windows(json.loads(told.stdout or "{}")) if one["visible"]]


def _windows(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "visible" in node and node.get("pid"):
        yield node
    for child in (*node.get("nodes", ()), *node.get("floating_nodes", ())):
        yield from _windows(child)
