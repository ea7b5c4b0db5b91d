"""An X server of its own without a monitor, for tests, pictures and measurements of the window."""

import os
import select
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

START_S = 60
PIXEL_SIZE = 4


class Screen:
    """`with Screen(1280, 720) as screen:` a display that ends with the block."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._size = f"{width}x{height}x24"
        self._middle = (width * height + width) // 2  # pixels from the one in the middle to the last one
        self.display = ""

    def __enter__(self) -> Self:
        ready, told = os.pipe()
        self._memory = tempfile.TemporaryDirectory(prefix="ts-screen-")
        command = ["Xvfb", "-displayfd", str(told), "-screen", "0", self._size, "-nolisten", "tcp", "-noreset"]
        command += ["-fbdir", self._memory.name]
        self._server = subprocess.Popen(command, pass_fds=[told], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(told)
        try:
            self.display = f":{_read_number(ready)}"
        except BaseException:
            self._end()
            raise
        finally:
            os.close(ready)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._end()

    def environment(self, **more: str) -> dict[str, str]:
        """The environment for programs that show their windows here."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TINYSNITCH_", "QT_"))}
        return {**kept, "DISPLAY": self.display, "WAYLAND_DISPLAY": "", "QT_QPA_PLATFORM": "xcb", **more}

    @property
    def is_painted(self) -> bool:
        """Whether anything was painted in the middle: an X server begins with a black screen."""
        # Xvfb(1), -fbdir: the screen as a file for xwud(1), whose pixels stand at its end
        with (Path(self._memory.name) / "Xvfb_screen0").open("rb") as screen:
            screen.seek(-self._middle * PIXEL_SIZE, os.SEEK_END)
            return any(screen.read(PIXEL_SIZE))

    def look(self) -> bytes:
        """What it shows, row by row, four bytes a pixel (blue, green, red, none)."""
        return (Path(self._memory.name) / "Xvfb_screen0").read_bytes()[-self.width * self.height * PIXEL_SIZE :]

    def _end(self) -> None:
        self._server.terminate()
        self._server.wait()
        self._memory.cleanup()


def _read_number(ready: int) -> str:
    """The display's number, once the server takes clients. It comes in pieces; the end of the line is the last."""
    number = b""
    while not number.endswith(b"\n"):
        if not select.select([ready], [], [], START_S)[0]:
            raise TimeoutError("Xvfb does not start")
        piece = os.read(ready, 16)
        if not piece:
            raise RuntimeError("Xvfb ended at its start")
        number += piece
    return number.decode().strip()
