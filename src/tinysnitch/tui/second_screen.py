r"""The terminal's second screen, which a guest takes while a question is open, so that the command's output stays as it
was: it is in sight again afterwards.

Nobody else may write there meanwhile: that would be lost. So whoever takes it has the command stand still first.
"""

import os
from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from tinysnitch.tui.terminal import DUMB, Terminal

# xterm's ctlseqs: save the cursor, and take the second screen, blank; and back. The cursor is hidden there.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[2J\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_NO_SECOND = ("", DUMB, "linux")  # values of TERM: Linux's console (console_codes(4)) has one screen
_PERHAPS = "screen"  # GNU screen has a second one only if it is told to (altscreen), and says nothing of it


def has_second_screen(environment: Mapping[str, str]) -> bool:
    """Whether all streams are the terminal's, so that nobody but the command writes there, and it has two screens."""
    term = environment.get("TERM", "")
    is_all_ours = all(map(os.isatty, (0, 1, 2)))
    return is_all_ours and term not in _NO_SECOND and not term.startswith(_PERHAPS)


class SecondScreen:
    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._console = Console(force_terminal=True, width=9999)  # knows the colours, and NO_COLOR; prints nothing
        self._drawn: list[str] = []  # the rows that were written last
        self.is_taken = False

    def take(self) -> None:
        self._drawn = []
        self.is_taken = True
        self._terminal.write(_ENTER)

    def leave(self) -> None:
        if self.is_taken:
            self.is_taken = False
            self._terminal.write(_LEAVE)

    def paint(self, rows: list[Text]) -> None:
        """Write the rows that have changed."""
        height = max(len(rows), len(self._drawn))
        written = list(map(self._sequences, rows))
        old, new = ([*some, *[""] * (height - len(some))] for some in (self._drawn, written))
        changed = [number for number in range(height) if old[number] != new[number]]
        self._terminal.write("".join(f"\x1b[{number + 1};1H\x1b[K{new[number]}" for number in changed))
        self._drawn = written

    def _sequences(self, row: Text) -> str:
        with self._console.capture() as written:
            self._console.print(row, end="", soft_wrap=True, highlight=False)
        return written.get()
