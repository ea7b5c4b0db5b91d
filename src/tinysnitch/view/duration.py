"""A length of time as people read it."""


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
