"""The maker of moving pictures: it keeps what the cameras saw, as long as it was so, and the file shows just that."""

import time
from pathlib import Path

import pytest
from PIL import Image

from bench.cinema import LAST_S, MARGIN, SCALE, TITLE, Window, paint, save, terminal_window
from bench.film import Film, Moment, ScreenSight, Terminals, TerminalSight
from tests.lab.patience import wait_until

pytestmark = pytest.mark.usefixtures("application")


def terminal(text: str) -> TerminalSight:
    return TerminalSight(text, (len(text), 0))


def test_what_stands_still_is_one_moment_that_lasts(tmp_path: Path) -> None:
    shown = [terminal("$ ")]
    film = Film(Terminals(tmp_path / "tmux"), [lambda: shown[0]])
    began = time.monotonic()
    with film.run():
        time.sleep(0.5)
        shown[0] = terminal("$ c")
        wait_until(lambda: len(film.moments) == 2, "the change is not seen")
        film.say("held")
        wait_until(lambda: len(film.moments) == 3, "the caption is not seen")
    seen = [(moment.sights[0].rows, moment.caption) for moment, _seconds in film.moments]
    assert seen == [("$ ", ""), ("$ c", ""), ("$ c", "held")]
    assert film.moments[0][1] > 0.4
    assert sum(seconds for _moment, seconds in film.moments) <= time.monotonic() - began


def test_the_file_has_each_moment_as_it_was_painted(tmp_path: Path) -> None:
    windows = [Window("a page", 100, 50), terminal_window("a shell", 20, 2)]
    red, blue = (ScreenSight(pixel * 200 * 100, 200, 100) for pixel in (b"\0\0\xff\0", b"\xff\0\0\0"))
    film = Film(Terminals(tmp_path / "tmux"), [])
    held = Moment((blue, terminal("\x1b[1;32m$\x1b[0m curl")), "curl is held", "Y")
    film.moments = [(Moment((red, terminal("$")), "", ""), 0.25), (held, 1.5)]
    save(film, windows, tmp_path / "film.webp")
    with Image.open(tmp_path / "film.webp") as picture:
        assert (picture.n_frames, picture.info["loop"]) == (2, 0)
        for place, (moment, seconds) in enumerate(film.moments):
            painted = paint(moment, windows)
            painted.save(str(tmp_path / "painted.png"))
            picture.seek(place)
            with Image.open(tmp_path / "painted.png") as expected:
                assert picture.convert("RGB").tobytes() == expected.convert("RGB").tobytes()
            corner = (MARGIN * SCALE, (MARGIN + TITLE) * SCALE)
            assert picture.convert("RGB").getpixel(corner) == ((0, 0, 255) if moment is held else (255, 0, 0))
            assert picture.info["duration"] == (seconds + LAST_S * (moment is held)) * 1000
