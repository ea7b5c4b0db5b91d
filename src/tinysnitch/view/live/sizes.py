"""Numbers of bytes in few columns, and the last minutes as a line of blocks."""

_UNITS = ("", "k", "M", "G", "T", "P")
_BLOCKS = " ▁▂▃▄▅▆▇█"


def format_size(count: float) -> str:
    """At most four characters: `0`, `999`, `1.2k`, `34k`, `1.2M`."""
    return "".join(_shorten(count))


def format_rate(count: float) -> str:
    """`0 B/s`, `1.2 kB/s`."""
    number, unit = _shorten(count)
    return f"{number} {unit}B/s"


def _shorten(count: float) -> tuple[str, str]:
    size, unit = float(count), 0
    while size >= 999.5 and unit + 1 < len(_UNITS):
        size, unit = size / 1000, unit + 1
    return f"{size:.1f}" if unit and size < 9.95 else f"{size:.0f}", _UNITS[unit]


def draw_line(parts: tuple[int, ...]) -> str:
    """A block for each part, as high as it is large beside the largest; what is not 0 is seen."""
    most = max(parts, default=0)
    return "".join(_BLOCKS[-(-part * (len(_BLOCKS) - 1) // most)] if part else " " for part in parts)
