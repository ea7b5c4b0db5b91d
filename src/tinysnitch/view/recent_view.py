"""What is shown of the last decisions: a row each, and of the one that is selected what keys would write. Escaped."""

import msgspec

from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.core.rules.secret_args import shorten_rule
from tinysnitch.protocol.log_lines import ConnectionLine
from tinysnitch.protocol.log_text import WITH_PORTS
from tinysnitch.view.connection_view import name_of_path
from tinysnitch.view.escape import escape_text
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.recent_decisions import Decided, RecentDecisions
from tinysnitch.view.span import Span, present_line, spans_of_name


class RecentRow(msgspec.Struct, frozen=True, kw_only=True):
    key: str  # the name of the key that a click on it presses
    time: str  # of day
    verdict: Verdict
    program: str
    remote: tuple[Span, ...]
    port: str  # ours if the connection came in; with the protocol
    is_inbound: bool
    count: int  # equal decisions
    why: str  # the rule that decided, or the reason


class SelectedView(msgspec.Struct, frozen=True, kw_only=True):
    """The decision that is selected."""

    decided_by: str  # the rule, "" if none did
    reason: str
    rule: tuple[Span, ...]  # the line that `y` writes; `n` writes it with `deny`
    hindrances: dict[Verdict, str]  # why no rule with this verdict is made; "" if one is


class RecentView(msgspec.Struct, frozen=True, kw_only=True):
    rows: tuple[RecentRow, ...]  # the newest first
    at: int | None = None  # the index of the selected one
    selected: SelectedView | None = None


def present_recent(recent: RecentDecisions, lookup: Lookup) -> RecentView:
    selected = recent.selected
    return RecentView(
        rows=tuple(_present_row(row, lookup) for row in recent.rows),
        at=recent.position,
        selected=_present_selected(recent, selected) if selected else None,
    )


def _present_row(decided: Decided, lookup: Lookup) -> RecentRow:
    line = decided.line
    is_inbound = line.direction is Direction.INBOUND
    port = line.local_port if is_inbound else line.remote_port
    return RecentRow(
        key=decided.key,
        time=lookup.tell_time(line.time),
        verdict=line.verdict,
        program=name_of_path(line.program),
        remote=spans_of_name(line.name or line.remote_address),
        port=f"{port} {line.protocol}" if line.protocol in WITH_PORTS else line.protocol,
        is_inbound=is_inbound,
        count=decided.count,
        why=_rule_of(line) or escape_text(line.reason),
    )


def _present_selected(recent: RecentDecisions, decided: Decided) -> SelectedView:
    rule = recent.propose(Verdict.ALLOW)
    return SelectedView(
        decided_by=_rule_of(decided.line),
        reason=escape_text(decided.line.reason),
        rule=present_line(parse_rule(rule)) if rule else (),
        hindrances={verdict: recent.find_hindrance(verdict) for verdict in (Verdict.ALLOW, Verdict.DENY)},
    )


def _rule_of(line: ConnectionLine) -> str:
    return escape_text(shorten_rule(line.rule)) if line.rule else ""
