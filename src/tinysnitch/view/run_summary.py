"""The summary that `tinysnitch run` prints at its end: what was allowed, what refused, and what nobody answered."""

import re
from collections import Counter
from collections.abc import Iterator

from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.decision import DENIED_BY_RULE, LEARNING, MODE, PAUSED
from tinysnitch.core.rules.secret_args import shorten_rule
from tinysnitch.protocol.log_lines import AskLine, ConnectionLine
from tinysnitch.protocol.log_text import WITH_PORTS, format_endpoint
from tinysnitch.view.escape import escape_text, shorten_middle
from tinysnitch.view.lookup import FindUser

# Not "reached": the firewall does not know whether anything answered at the other end.
_WORDS = {Verdict.ALLOW: "allowed", Verdict.DENY: "refused", Verdict.ASK: "not answered"}

_ANSWERED = re.compile(r"(answered (?:.+ )?by )uid (\d+)")  # a reason of the engine that names the user
MAX_ROWS = 10_000  # of the summary, and questions without a decision; further connections are only counted

_Tried = ConnectionLine | AskLine
_Row = tuple[Verdict, str, str, str]  # place, program, reason


class RunSummary:
    """Takes each line of the log as it comes, and keeps only what the summary needs."""

    def __init__(self) -> None:
        self._counts: Counter[_Row] = Counter()
        self._rest = 0  # connections beyond MAX_ROWS
        # Questions without a decision yet. However a question ends, each connection that waited gets a decision.
        self._asked: dict[tuple[object, ...], AskLine] = {}

    def add(self, line: _Tried) -> None:
        if isinstance(line, AskLine):
            if len(self._asked) < MAX_ROWS:
                self._asked[_question_of(line)] = line
            return
        self._asked.pop(_question_of(line), None)
        row = _row_of(line)
        if row in self._counts or len(self._counts) < MAX_ROWS:
            self._counts[row] += 1
        else:
            self._rest += 1

    def lines(self, program_width: int | None = None, find_user: FindUser = lambda _uid: None) -> list[str]:
        """The lines of the summary: first what was allowed, then refused, then not answered; each in the order in which
        it came, with equal connections counted together. Programs are shortened to the width, if one is given.
        """
        counts = Counter(self._counts)
        counts.update(map(_row_of, self._asked.values()))
        if not counts:
            return ["no connection was tried"]
        told = [text for verdict in _WORDS for text in _section(verdict, counts, program_width, find_user)]
        return [*told, f"and {self._rest} more connections, which are not listed"] if self._rest else told


def _row_of(line: _Tried) -> _Row:
    return line.verdict, _place_of(line), line.program, _reason_of(line)


def _reason_of(line: _Tried) -> str:
    """The line's reason; a denial by a rule names that rule, which the reader would look for next."""
    return line.reason.replace(DENIED_BY_RULE, f"denied by the rule {escape_text(shorten_rule(line.rule or ''))}", 1)


def _question_of(line: _Tried) -> tuple[object, ...]:
    """A key that is equal for the lines of one question, as far as they tell (core/prompts/prompt.py)."""
    return _place_of(line), line.program, line.args, line.uid


def _section(verdict: Verdict, counts: Counter[_Row], width: int | None, find_user: FindUser) -> Iterator[str]:
    rows = [(count, *row[1:]) for row, count in counts.items() if row[0] is verdict]
    for count, place, program, reason in rows:
        times = f" ({count} times)" if count > 1 else ""
        says_why = verdict is Verdict.DENY or reason.startswith((LEARNING, PAUSED, MODE))
        why = f": {_name_user(reason.removeprefix(LEARNING), find_user)}" if says_why else ""
        name = escape_text(program)
        yield f"{_WORDS[verdict]} {place}{times} by {name if width is None else shorten_middle(name, width)}{why}"


def _name_user(reason: str, find_user: FindUser) -> str:
    answered = _ANSWERED.fullmatch(reason)
    name = find_user(int(answered[2])) if answered else None
    return f"{answered[1]}{escape_text(name)}" if answered and name else reason


def _place_of(line: _Tried) -> str:
    address, name = line.remote_address, line.name
    if line.protocol not in WITH_PORTS:
        return f"{line.protocol} {format_endpoint(address, None, name)}"
    if line.direction is Direction.INBOUND:
        return f"{line.protocol} port {line.local_port} from {format_endpoint(address, None, name)}"
    return f"{line.protocol} {format_endpoint(address, line.remote_port, name)}"
