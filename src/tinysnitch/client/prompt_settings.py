"""Reads a prompt's settings from the environment: TINYSNITCH_DELAY_SECONDS and TINYSNITCH_FONTSIZE, as in 2019."""

import math
from collections.abc import Mapping

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.protocol.messages import MAX_DELAY_S

DELAY_VARIABLE = "TINYSNITCH_DELAY_SECONDS"
FONT_VARIABLE = "TINYSNITCH_FONTSIZE"
MAX_FONT_PT = 200.0


def read_delay_s(environment: Mapping[str, str]) -> float | None:
    """How long a new question takes no keys, in seconds; None: as the daemon's settings say. Raises SnitchError if the
    variable is not a number."""
    delay_s = _read_number(environment, DELAY_VARIABLE)
    return None if delay_s is None else min(max(0.0, delay_s), MAX_DELAY_S)


def read_font_pt(environment: Mapping[str, str]) -> float | None:
    """The font size in points; None: as large as the window allows. Raises SnitchError if it is not a number."""
    font_pt = _read_number(environment, FONT_VARIABLE)
    return min(font_pt, MAX_FONT_PT) if font_pt is not None and font_pt > 0 else None


def _read_number(environment: Mapping[str, str], variable: str) -> float | None:
    text = environment.get(variable, "")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise SnitchError(f"{variable} is not a number: {text!r}", "unset it for the default")
    return number
