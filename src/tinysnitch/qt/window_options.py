"""How the window looks, as the command line says. It needs no Qt, so that a wrong option is told without it."""

import msgspec


class WindowOptions(msgspec.Struct, frozen=True):
    is_full: bool = False  # over the whole screen
    is_in_corner: bool = False  # of a dialog; else it is in the middle of the screen
    theme: str = "auto"
    font_pt: float | None = None  # None: the desktop's size; over the whole screen, as large as that allows
