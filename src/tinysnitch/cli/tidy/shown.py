"""How proposals about rules are shown: what goes as `-`, what comes as `+`, and below it what that changes.

What comes is shown whole, since it will be in force; what goes is shortened to the width.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from tinysnitch.core.rules.secret_args import shorten_rule
from tinysnitch.core.tidy.proposal import Kind
from tinysnitch.protocol.messages import LearnedEntry, LearnedLine, ProposalEntry, WiderRule
from tinysnitch.view.escape import escape_text, shorten_end, wrap_columns
from tinysnitch.view.history.history_view import tell_moment

MOST_SHOWN = 8  # lines that go; of more the rest is counted
TIDY_KEYS = {"y": "yes", "n": "no", "q": "quit"}
_INDENT = "  "
NEW = "  + "  # how the line begins that comes
_NOTHING = "changes nothing"
_WHILE = {"learn": "while observing", "pause": "in a pause"}


def present_proposal(entry: ProposalEntry, place: str, width: int) -> Iterator[str]:
    """`place`: which one it is, as `3 of 12`."""
    yield from _wrap(f"{place}  {entry.why}", width, "")
    yield ""
    yield from _present_old(list(map(shorten_rule, entry.removed)), "- ", width)
    if entry.added is not None:
        yield from _wrap(entry.added, width, NEW)
    yield ""
    yield from _wrap(entry.effect or _NOTHING, width, _INDENT)


def present_learned(item: "LearnedItem", place: str, width: int, now: datetime) -> Iterator[str]:
    """`now`: with the time zone to tell times in."""
    yield from _wrap(f"{place}  {item.entry.why}", width, "")
    yield ""
    lines = [shorten_rule(line.rule) for line in item.entry.lines]
    yield from _present_old(lines, "" if item.rule is not None else "- ", width)
    if item.rule is not None and (item.rule,) != tuple(line.rule for line in item.entry.lines):
        yield from _wrap(item.rule, width, NEW)
    yield ""
    told = _tell_passed(item.entry.lines, now)
    yield from _wrap(f"passed {told}", width, _INDENT) if told else ()
    yield from _wrap(item.effect or _NOTHING, width, _INDENT)


def present_keys(keys: dict[str, str]) -> str:
    """`y yes  n no  q quit`."""
    return _INDENT + "   ".join(f"{key} {word}" for key, word in keys.items()) + " "


def present_learned_line(entry: LearnedEntry) -> str:
    """What is proposed as a line that can be copied into a rules file; a line that can go is a comment."""
    told = ", ".join(filter(None, (_count(len(entry.lines)), *_sum_up(entry.lines))))
    if entry.added is None:
        return f"# {entry.lines[0].rule}  # {entry.why}"
    return f"{entry.added}  # {told}; {entry.effect}"


class LearnedItem:
    """One entry under review: which of its rules, from the narrowest to the widest, would be taken."""

    def __init__(self, entry: LearnedEntry) -> None:
        self.entry = entry
        own = () if entry.added is None else (WiderRule(entry.added, entry.effect),)
        self._steps = (*own, *entry.wider)
        self._at = 0

    @property
    def rule(self) -> str | None:
        return self._steps[self._at].rule if self._steps else None

    @property
    def effect(self) -> str:
        return self._steps[self._at].effect if self._steps else self.entry.effect

    @property
    def keys(self) -> dict[str, str]:
        """The keys that do something, and what."""
        keys = {"y": "take", "w": "widen", "n": "narrow", "d": "drop", "s": "later", "q": "quit"}
        possible = {
            "y": bool(self._steps),
            "w": self._at + 1 < len(self._steps),
            "n": self._at > 0 or (len(self.entry.lines) > 1 and bool(self._steps)),
        }
        return {key: word for key, word in keys.items() if possible.get(key, True)}

    def widen(self) -> None:
        self._at += 1

    def narrow(self) -> "list[LearnedItem]":
        """The items that stand in its place: itself, one step narrower, or one for each of its lines."""
        if self._at > 0:
            self._at -= 1
            return [self]
        return [LearnedItem(_alone(line, self._steps)) for line in self.entry.lines]


def _alone(line: LearnedLine, wider: tuple[WiderRule, ...]) -> LearnedEntry:
    return LearnedEntry(
        kind=Kind.ALONE,
        lines=(line,),
        added=line.rule,
        why="it passed without a rule",
        effect="lets pass this alone",
        wider=wider,
    )


def _present_old(lines: list[str], mark: str, width: int) -> Iterator[str]:
    for line in lines[:MOST_SHOWN]:
        yield shorten_end(escape_text(f"{_INDENT}{mark or '  '}{line}"), width)
    if len(lines) > MOST_SHOWN:
        yield f"{_INDENT}{mark or '  '}and {len(lines) - MOST_SHOWN} more"


def _sum_up(lines: tuple[LearnedLine, ...]) -> Iterator[str]:
    """Since when, and how often: `learn since 2026-12-02T12:20:03Z`, `12 times`."""
    yield from filter(None, [_find_since(lines), _tell_count(lines)])


def _tell_passed(lines: tuple[LearnedLine, ...], now: datetime) -> str:
    """The same for a person: `12 times in a pause since 13:20`."""
    why, _since, time = _find_since(lines).partition(" since ")
    with suppress(ValueError):
        time = tell_moment(datetime.fromisoformat(time).timestamp(), now)
    since = f"{_WHILE.get(why, why)} since {time}" if time else ""
    return " ".join(filter(None, [_tell_count(lines), since]))


def _find_since(lines: tuple[LearnedLine, ...]) -> str:
    return min((line.since for line in lines if line.since), key=lambda text: text.rpartition(" ")[2], default="")


def _tell_count(lines: tuple[LearnedLine, ...]) -> str:
    count = sum(line.count for line in lines)
    return "once" if count == 1 else f"{count:,} times" if count else ""


def _count(lines: int) -> str:
    return "" if lines == 1 else f"{lines} lines"


def _wrap(text: str, width: int, indent: str) -> Iterator[str]:
    first, *rest = (line.rstrip() for line in wrap_columns(escape_text(text), width - len(indent)))
    yield indent + first
    yield from (" " * len(indent) + line for line in rest)
