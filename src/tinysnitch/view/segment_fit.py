"""Segments made to fit into so many columns: what is long gives way in its middle."""

import msgspec

from tinysnitch.view.segment import Segment
from tinysnitch.view.text import cell_width, shorten_middle


def fit_segments(segments: tuple[Segment, ...], width: int) -> tuple[Segment, ...]:
    """Segments of at most `width` columns in all: the longest ones give way."""
    fitted = list(segments)
    while (excess := sum(cell_width(segment.text) for segment in fitted) - width) > 0:
        longest = max(range(len(fitted)), key=lambda index: cell_width(fitted[index].text))
        size = cell_width(fitted[longest].text)
        if size <= 1:
            break
        shorter = shorten_middle(fitted[longest].text, max(size - excess, size // 2, 1))
        fitted[longest] = msgspec.structs.replace(fitted[longest], text=shorter)
    return tuple(fitted)
