"""The qualifiers, `key=value` behind the verdict: one table that the parser, the formatter and the docs read."""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import msgspec

from tinysnitch.core.rules.quoting import BadWord, quote_word
from tinysnitch.core.rules.rule import Rule

Value = str | int
Field = Literal["user", "parent", "sha256", "iface", "until_s"]

LAST_UID = 2**32 - 2  # 2**32 - 1, which is -1, is no uid (setuid(2), chown(2))
_LONGEST_IFACE = 15  # IFNAMSIZ - 1, linux/if.h
_LAST_SECOND = 253402300799  # of the year 9999, the last that ISO 8601 writes with four digits
_FIRST_SECOND = -62135596800  # of the year 1


def _parse_user(text: str) -> str:
    if not re.fullmatch("[0-9]+", text):
        return text
    if len(text) > 10 or int(text) > LAST_UID:
        raise BadWord("not a user", "write a name, or a uid as a number")
    return str(int(text))


def _parse_parent(text: str) -> str:
    if not text.startswith("/"):
        raise BadWord("not an absolute path", "write parent=/usr/bin/NAME")
    return text


def _parse_sha256(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise BadWord("not a SHA-256 sum", "write its 64 hexadecimal digits")
    return text.lower()


def _parse_iface(text: str) -> str:
    if len(text) > _LONGEST_IFACE:
        raise BadWord("not a network interface", f"its name has at most {_LONGEST_IFACE} characters")
    return text


def _parse_until(text: str) -> int:
    """Seconds since 1970, rounded up; a time without a zone is local."""
    try:
        until_s = math.ceil(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        until_s = _LAST_SECOND + 1
    if not _FIRST_SECOND <= until_s <= _LAST_SECOND:
        raise BadWord("not a time", "write until=2026-11-24T23:45:00Z, or the local time without Z")
    return until_s


def format_until(until_s: float) -> str:
    """`2026-11-24T23:45:00Z`."""
    return datetime.fromtimestamp(int(until_s), UTC).isoformat().replace("+00:00", "Z")


def _format_until(until_s: Value) -> str:
    return format_until(int(until_s))


def _format_text(value: Value) -> str:
    return quote_word(str(value))


class Qualifier(msgspec.Struct, frozen=True):
    key: str
    field: Field  # of Rule
    example: str
    meaning: str
    parse: Callable[[str], Value]
    format: Callable[[Value], str] = _format_text


QUALIFIERS = {
    qualifier.key: qualifier
    for qualifier in (
        Qualifier("user", "user", "user=alice", "the process runs as this user; a name or a uid", _parse_user),
        Qualifier("parent", "parent", "parent=/usr/bin/make", "a program among the process's ancestors", _parse_parent),
        Qualifier("sha256", "sha256", "sha256=9f86d0…", "the executable's content has this sum", _parse_sha256),
        Qualifier("iface", "iface", "iface=wg0", "the packet goes through this network interface", _parse_iface),
        Qualifier("until", "until_s", "until=2026-11-24T23:45:00Z", "the rule ends then", _parse_until, _format_until),
    )
}


def format_qualifiers(rule: Rule) -> list[str]:
    values = [(qualifier, getattr(rule, qualifier.field)) for qualifier in QUALIFIERS.values()]
    return [f"{qualifier.key}={qualifier.format(value)}" for qualifier, value in values if value is not None]
