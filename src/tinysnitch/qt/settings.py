"""What the environment says about the window."""

from collections.abc import Mapping

import msgspec

from tinysnitch.view.key_guard import DELAY_S
from tinysnitch.view.prompt_settings import read_delay_s, read_font_pt


class WindowSettings(msgspec.Struct, frozen=True):
    delay_s: float = DELAY_S
    font_pt: float | None = None  # None: as large as the window allows


def read_settings(environment: Mapping[str, str]) -> WindowSettings:
    """Raises SnitchError for what is no number."""
    return WindowSettings(delay_s=read_delay_s(environment), font_pt=read_font_pt(environment))
