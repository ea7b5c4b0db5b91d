"""The time of day here, of a line of the log."""

from contextlib import suppress
from datetime import datetime


def tell_time(time: str) -> str:
    """`13:04:05`, of a time in ISO 8601."""
    with suppress(ValueError):
        return datetime.fromisoformat(time).astimezone().strftime("%H:%M:%S")
    return time
