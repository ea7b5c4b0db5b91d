"""What the options of these commands mean: times, users, numbers of lines."""

import pwd
import re
import time
from datetime import datetime

import click

_ON_SCREEN, _ELSEWHERE = 40, 1000  # lines, unless --lines says another number
_SPAN = re.compile("([0-9]{1,6})([mhdw])")
_UNITS_S = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LAST_UID = 2**32 - 2


class Since(click.ParamType[float]):
    """A span of time that ends now, or a day."""

    name = "time"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        span = _SPAN.fullmatch(str(value))
        if span:
            return max(0.0, time.time() - int(span[1]) * _UNITS_S[span[2]])
        if value == "today":
            return datetime.now().replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        try:
            return datetime.strptime(str(value), "%Y-%m-%d").timestamp()
        except (ValueError, OverflowError):
            said = f"{str(value)[:20]!r} is no time"
            self.fail(f"{said}: write 30m, 12h, 7d, 4w, today or a day such as 2026-12-02", param, ctx)


class User(click.ParamType[int]):
    name = "user"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _LAST_UID:
            return int(text)
        try:
            return pwd.getpwnam(text).pw_uid
        except (KeyError, ValueError):
            self.fail(f"there is no user {text[:40]!r}: write a name or a uid", param, ctx)


def lines_wanted(lines: int | None, *, is_screen: bool) -> int:
    return (_ON_SCREEN if is_screen else _ELSEWHERE) if lines is None else lines


def tell_since(since_s: float, now: datetime) -> str:
    """`13:04` of today, `2 Dec 13:04`; `today` if that is all of it."""
    since = datetime.fromtimestamp(since_s, now.tzinfo)
    if since.date() != now.date():
        return f"{since.day} {since:%b %H:%M}"
    return f"{since:%H:%M}" if (since.hour, since.minute, since.second) != (0, 0, 0) else "midnight"
