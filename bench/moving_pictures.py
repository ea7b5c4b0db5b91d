"""The moving pictures of the README, filmed in the lab: real programs, the real daemon, real keys. `make pictures`."""

import argparse
import shutil
import sys
import time
from pathlib import Path

from PySide6.QtGui import QGuiApplication

from bench.cinema import save, terminal_window
from bench.film import Film, Terminals
from tests.lab.lab import Lab
from tests.lab.private_machine import PrivateMachine

NEEDS = ["tmux"]
TERMINAL = ["env", "TERM=tmux-256color", "COLORTERM=truecolor", "LANG=C.UTF-8", "PS1=$ "]
COLUMNS, SHELL_ROWS, CURL_ROWS = 80, 7, 21
SHELL, PROMPT = "a shell", "tinysnitch"
CURL = "curl https://example.com"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    words = parser.parse_args()
    if lacking := [command for command in NEEDS if not shutil.which(command)]:
        sys.exit(f"error: not here: {' '.join(lacking)}\nhint: apt install {' '.join(lacking)}")
    _application = QGuiApplication(["pictures", "-platform", "offscreen"])
    film_curl(words.folder / "curl.webp")


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


def play_curl(film: Film) -> None:
    time.sleep(0.5)
    film.type(SHELL, CURL)
    film.wait_for(PROMPT, "asked because")
    film.say("No rule knows this connection: curl is held.")
    time.sleep(3.2)
    film.press(PROMPT, "Y", "Y allows it, forever.")
    film.wait_for(SHELL, "welcome")
    time.sleep(2)
    film.say("The second time it goes through at once.")
    film.type(SHELL, CURL)
    time.sleep(1.3)
    film.say("The answer is a line in /etc/tinysnitch.rules.")
    film.type(SHELL, "tinysnitch rules")
    film.wait_for(SHELL, "allow example.com")
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
