"""The moving pictures of the README, filmed in the lab: real programs, the real daemon, real keys. `make pictures`."""

import argparse
import shutil
import sys
import time
from pathlib import Path

from PySide6.QtGui import QGuiApplication

from bench.browser import NAMES, PROGRAM, SITE, TRACKERS, Browser, lay_out
from bench.cinema import SCALE, save, terminal_window
from bench.film import Film, Terminals
from tests.lab.lab import Lab
from tests.lab.private_machine import PrivateMachine
from tests.qt.screen import Screen

NEEDS = ["tmux", PROGRAM, "xdotool"]
TERMINAL = ["env", "TERM=tmux-256color", "COLORTERM=truecolor", "LANG=C.UTF-8", "PS1=$ "]
COLUMNS, SHELL_ROWS, CURL_ROWS, FIREFOX_ROWS = 80, 7, 21, 20
PAGE_HEIGHT = 238
SHELL, PROMPT = "a shell", "tinysnitch"
AT_TRACKER = r">  \S*tracker.test"  # where the cursor is in the list
CURL = "curl https://example.com"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="film those whose names hold this")
    words = parser.parse_args()
    if lacking := [command for command in NEEDS if not shutil.which(command)]:
        sys.exit(f"error: not here: {' '.join(lacking)}\nhint: apt install {' '.join(lacking)}")
    _application = QGuiApplication(["pictures", "-platform", "offscreen"])
    for name, film in (("curl", film_curl), ("firefox", film_firefox)):
        if words.only in name:
            film(words.folder / f"{name}.webp")


def film_curl(path: Path) -> None:
    with Lab() as lab:
        machine = start_machine(lab)
        terminals = Terminals(lab.folder / "tmux")
        # Before the daemon: what a program's ancestors were before it started ends with tmux, which has left them.
        terminals.open(SHELL, (COLUMNS, SHELL_ROWS), [*machine.enter(), *TERMINAL, "bash", "--norc"])
        lab.on_exit(terminals.close)
        machine.start_daemon()
        open_prompt(terminals, machine, CURL_ROWS)
        film = Film(terminals, [lambda: terminals.look(SHELL), lambda: terminals.look(PROMPT)])
        with film.run():
            play_curl(film)
    save(film, [terminal_window(SHELL, COLUMNS, SHELL_ROWS), terminal_window(PROMPT, COLUMNS, CURL_ROWS)], path)


def film_firefox(path: Path) -> None:
    page = terminal_window("Firefox", COLUMNS, 0)._replace(height=PAGE_HEIGHT)
    with Lab() as lab, Screen(page.width * SCALE, page.height * SCALE) as screen:
        lay_out(lab)
        machine = start_machine(lab)
        terminals = Terminals(lab.folder / "tmux")
        terminals.open(SHELL, (COLUMNS, SHELL_ROWS), ["sleep", "infinity"])  # as above, before the daemon
        lab.on_exit(terminals.close)
        machine.start_daemon()
        browser = Browser(terminals, machine, screen)
        open_prompt(terminals, machine, FIREFOX_ROWS)
        film = Film(terminals, [browser.look, lambda: terminals.look(PROMPT)])
        with film.run():
            play_firefox(film, browser)
    save(film, [page, terminal_window(PROMPT, COLUMNS, FIREFOX_ROWS)], path)


def play_curl(film: Film) -> None:
    time.sleep(0.5)
    film.type(SHELL, CURL)
    film.terminals.wait_for(PROMPT, "asked because")
    film.say("No rule knows this connection: curl is held.")
    time.sleep(3.2)
    film.press(PROMPT, "Y", "Y allows it, forever.")
    film.terminals.wait_for(SHELL, "welcome")
    time.sleep(2)
    film.say("The second time it goes through at once.")
    film.type(SHELL, CURL)
    time.sleep(1.3)
    film.say("The answer is a line in /etc/tinysnitch.rules.")
    film.type(SHELL, "tinysnitch rules")
    film.terminals.wait_for(SHELL, "allow example.com")
    time.sleep(1)


def play_firefox(film: Film, browser: Browser) -> None:
    time.sleep(0.5)
    browser.visit(SITE)
    film.terminals.wait_for(PROMPT, "asked because")
    film.say("A page is opened: Firefox is held.")
    time.sleep(2.5)
    film.press(PROMPT, "Y", "Y allows it, forever.")
    film.terminals.wait_for(PROMPT, f"g all {len(NAMES)} together")
    film.say(f"The page wants {len(NAMES)} more names.")
    time.sleep(1.5)
    film.press(PROMPT, "g", "g shows them together.")
    time.sleep(1.5)
    for _name in NAMES:
        if not film.terminals.has(PROMPT, AT_TRACKER):
            film.press(PROMPT, "Down", "A tracker is among them.")
            time.sleep(0.3)
    for _name in TRACKERS:
        film.terminals.wait_for(PROMPT, AT_TRACKER)
        film.press(PROMPT, "n", "n denies the one at the cursor.")
        time.sleep(1)
    film.press(PROMPT, "y", "y allows all others.")
    film.terminals.wait_for(PROMPT, "no questions")
    time.sleep(1.2)
    film.say("The page is there, without its tracker.")
    time.sleep(1)


def start_machine(lab: Lab) -> PrivateMachine:
    """With the list of packages that this one has, so that a question can name the program's."""
    machine = PrivateMachine(lab)
    shutil.copytree("/var/lib/dpkg", machine.path(Path("/var/lib/dpkg")), dirs_exist_ok=True)
    return machine


def open_prompt(terminals: Terminals, machine: PrivateMachine, rows: int) -> None:
    terminals.open(PROMPT, (COLUMNS, rows), [*machine.enter(), *TERMINAL, "tinysnitch"])
    terminals.wait_for(PROMPT, "no questions")


if __name__ == "__main__":
    main()
