"""The names that programs ask for: single questions, what they add up to, and the page loads that they come in."""

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec

from tinysnitch.core.traffic.queries import MAX_LINES

PAUSE_S = 5.0  # after a pause as long as this, the next question begins another page load
_Word = Annotated[str, msgspec.Meta(max_length=8192)]


class NameAsked(msgspec.Struct, frozen=True, gc=False):
    program: str
    uid: int
    name: str
    at_s: float  # wall-clock seconds
    is_denied: bool = False  # the question itself


class NamesQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """With a program: its questions in their order. Else what each program asked for, of whole days."""

    program: _Word | None = None  # a path, or the last part of one
    uid: int | None = None
    since_s: float = 0.0
    limit: Annotated[int, msgspec.Meta(ge=0, le=MAX_LINES)] = 1000


class AskingProgram(msgspec.Struct, frozen=True, kw_only=True):
    program: str
    questions: int
    names: int
    domains: int  # that somebody registered
    used: int  # names that a program then connected to
    denied: int  # names that were denied: the question, or a connection to it
    first_s: float
    last_s: float


class AskedName(msgspec.Struct, frozen=True, kw_only=True):
    """A name in a page load: the same name is told once in each."""

    load: int  # counts page loads, from 0
    at_s: float
    program: str
    name: str
    domain: str
    questions: int
    is_used: bool = False
    is_denied: bool = False


class NamesTotal(msgspec.Struct, frozen=True):
    programs: int = 0
    questions: int = 0
    names: int = 0
    domains: int = 0


def join_loads(asked: Iterable[AskedName], pause_s: float = PAUSE_S) -> Iterator[AskedName]:
    """Number the page loads of questions in their order, and join those for one name in one load."""
    load, last_s = -1, float("-inf")
    joined: dict[tuple[str, str], AskedName] = {}
    for each in asked:
        if each.at_s - last_s >= pause_s:
            yield from joined.values()
            joined.clear()
            load += 1
        last_s = each.at_s
        key = each.program, each.name
        known = joined.get(key)
        if known is None:
            joined[key] = msgspec.structs.replace(each, load=load)
        else:
            is_denied = known.is_denied or each.is_denied
            joined[key] = msgspec.structs.replace(
                known, questions=known.questions + each.questions, is_denied=is_denied
            )
    yield from joined.values()
