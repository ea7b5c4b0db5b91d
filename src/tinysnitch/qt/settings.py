"""What the environment says about the window: TINYSNITCH_FONTSIZE and TINYSNITCH_DELAY_SECONDS, as in 2019."""

import math
from collections.abc import Mapping

import msgspec

from tinysnitch.core.errors import SnitchError
from tinysnitch.view.prompt_state import DELAY_S

FONT_VARIABLE = "TINYSNITCH_FONTSIZE"
DELAY_VARIABLE = "TINYSNITCH_DELAY_SECONDS"
MAX_DELAY_S = 10.0  # with more, questions would end before they take keys
MAX_FONT_PT = 200.0


class WindowSettings(msgspec.Struct, frozen=True):
    delay_s: float = DELAY_S
    font_pt: float | None = None  # None: as large as the window allows


def read_settings(environment: Mapping[str, str]) -> WindowSettings:
    """Raises SnitchError for what is no number."""
    delay_s = _read_number(environment, DELAY_VARIABLE)
    font_pt = _read_number(environment, FONT_VARIABLE)
    return WindowSettings(
        delay_s=DELAY_S if delay_s is None else min(max(0.0, delay_s), MAX_DELAY_S),
        font_pt=min(font_pt, MAX_FONT_PT) if font_pt is not None and font_pt > 0 else None,
    )


def _read_number(environment: Mapping[str, str], variable: str) -> float | None:
    text = environment.get(variable, "")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise SnitchError(f"{variable} is not a number: {text!r}", "leave it out for the usual value")
    return number
