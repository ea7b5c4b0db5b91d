"""Writes a length of time for people."""

_COUNTED_S = 120  # the longest time that is shown in seconds alone


def format_duration(seconds: float) -> str:
    """`3 d 4 h`, `5 h 12 min`, `7 min 3 s`, `9 s`."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour} h"
    if hours:
        return f"{hours} h {minute} min"
    return f"{minutes} min {second} s" if minutes else f"{second} s"


def format_time_left(seconds: int, unit: str = "s") -> str:
    """`60 s`; of more than two minutes `59 min 59 s`."""
    return format_duration(seconds) if seconds > _COUNTED_S else f"{seconds} {unit}"
