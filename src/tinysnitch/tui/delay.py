"""How long a new question takes no keys: TINYSNITCH_DELAY_SECONDS, as in 2019."""

import os

from tinysnitch.core.errors import SnitchError
from tinysnitch.view.prompt_state import DELAY_S

VARIABLE = "TINYSNITCH_DELAY_SECONDS"
MAX_DELAY_S = 10.0  # with more, questions would end before they take keys


def read_delay_s() -> float:
    text = os.environ.get(VARIABLE, "")
    try:
        return min(max(0.0, float(text)), MAX_DELAY_S) if text else DELAY_S
    except ValueError:
        raise SnitchError(f"{VARIABLE} is not a number: {text!r}", f"without it {DELAY_S} holds") from None
