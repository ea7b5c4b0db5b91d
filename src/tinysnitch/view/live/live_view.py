"""What is shown of who talks now: the rows that are in sight, and what is known of the selected one."""

from collections.abc import Callable

import msgspec

from tinysnitch.core.model.flow import Direction
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.core.rules.secret_args import shorten_rule
from tinysnitch.protocol.log_lines import format_time
from tinysnitch.view.connection_view import name_of_path
from tinysnitch.view.escape import escape_text
from tinysnitch.view.live.live_page import LivePage, Told
from tinysnitch.view.live.sizes import draw_line, format_rate, format_size
from tinysnitch.view.live.traffic import Key
from tinysnitch.view.live.tree import Level, Node, Sort
from tinysnitch.view.lookup import Lookup
from tinysnitch.view.pages.list_frame import ListFrame, present_frame
from tinysnitch.view.pages.list_page import key_of_row
from tinysnitch.view.span import Line, Span, Weight, present_line, span_of, spans_of_name

_INDENT = "  "
MOST_PORTS = 3  # that are named behind a remote
MOST_BEATEN = 3  # rules that are told
_NO_RULE = "no rule"


class LiveRow(msgspec.Struct, frozen=True, kw_only=True):
    key: str  # the name of the key that a click on it presses
    name: tuple[Span, ...]  # with its place in the tree
    rate_in: str
    rate_out: str
    bytes_in: str
    bytes_out: str
    bytes: str  # both
    connections: str
    line: str  # of the last minutes
    verdict: str  # allow, deny, both
    rule: str
    is_quiet: bool  # nothing comes or goes now


class LiveView(msgspec.Struct, frozen=True):
    frame: ListFrame  # of which `at` is among the rows in sight
    rows: tuple[LiveRow, ...]  # in sight
    sort: Sort


def present_live(
    page: LivePage, now: float, lookup: Lookup, room_for: Callable[[ListFrame], int], line_width: int
) -> LiveView:
    """`room_for`: how many rows are in sight within a frame. No others are made."""
    nodes = page.nodes(now)
    _traffic, now_s = page.shown(now)
    frame = present_frame(
        page,
        now,
        title=_present_title(page, nodes),
        facts=_present_facts(page, lookup),
    )
    at, height = frame.at, max(1, room_for(frame))
    page.room = height
    first = max(0, min((at or 0) - height // 2, len(nodes) - height))
    names = [name_of_path(node.name) for node in nodes if node.level is Level.PROGRAM]
    rows = tuple(
        _present_row(page, node, now_s, line_width, is_doubtful=names.count(name_of_path(node.name)) > 1)
        for node in nodes[first : first + height]
    )
    return LiveView(msgspec.structs.replace(frame, at=None if at is None else at - first), rows, page.sort)


def _present_title(page: LivePage, nodes: list[Node]) -> str:
    programs = [node for node in nodes if node.level is Level.PROGRAM]
    rate_in = format_rate(sum(node.sum.rate_in for node in programs))
    rate_out = format_rate(sum(node.sum.rate_out for node in programs))
    title = f"{_count(len(programs), 'program')}, {rate_in} in, {rate_out} out" if programs else "nobody talks"
    if not programs and page.filter.text:
        title = "nothing has these words"
    lost = f"; {page.traffic.left_out} rows left out" if page.traffic.left_out else ""
    return f"{'paused: ' if page.is_paused else ''}{title}{lost}"


def _present_row(page: LivePage, node: Node, now_s: float, line_width: int, *, is_doubtful: bool) -> LiveRow:
    total, meters = node.sum, node.sum.meters
    verdicts = {meter.key.verdict for meter in meters}
    rules = {meter.key.rule for meter in meters}
    return LiveRow(
        key=key_of_row(node.key),
        name=_present_name(page, node, is_doubtful=is_doubtful),
        rate_in=format_size(total.rate_in) if total.rate_in else "",
        rate_out=format_size(total.rate_out) if total.rate_out else "",
        bytes_in=format_size(total.bytes_in),
        bytes_out=format_size(total.bytes_out),
        bytes=format_size(total.bytes),
        connections=format_size(total.connections),
        line=draw_line(total.line(now_s, line_width)) if line_width else "",
        verdict=verdicts.pop().value if len(verdicts) == 1 else "both",
        rule=_tell_rule(rules.pop()) if len(rules) == 1 else f"{len(rules)} rules",
        is_quiet=not total.rate,
    )


def _present_name(page: LivePage, node: Node, *, is_doubtful: bool) -> tuple[Span, ...]:
    mark = "" if node.level is Level.CONNECTIONS else "▾ " if node.key in page.unfolded else "▸ "
    indent = Span(f"{_INDENT * node.level.value}{mark}", weight=Weight.QUIET)
    if node.level is Level.PROGRAM:
        name = escape_text(node.name) if is_doubtful else name_of_path(node.name)
        return indent, Span(name, weight=Weight.STRONG)
    key = node.newest.key
    if node.level is Level.REMOTE:
        return (indent, *spans_of_name(node.name), Span(_tell_ports(node), weight=Weight.QUIET))
    return indent, Span(f"{_arrow(key)} {escape_text(_tell_place(key))}")


def _arrow(key: Key) -> str:
    return "←" if key.direction is Direction.INBOUND else "→"


def _tell_place(key: Key) -> str:
    """`192.0.2.1:443 tcp`; of a visitor the port is ours."""
    address = f"[{key.address}]" if ":" in key.address else key.address
    port = f":{key.port}" if key.port else ""
    return (
        f"{address} to{port} {key.protocol}"
        if key.direction is Direction.INBOUND and port
        else (f"{address}{port} {key.protocol}")
    )


def _tell_ports(node: Node) -> str:
    ports = sorted({meter.key.port for meter in node.sum.meters if meter.key.port})
    shown = ",".join(map(str, ports[:MOST_PORTS]))
    return f" :{shown}{'…' if len(ports) > MOST_PORTS else ''}" if ports else ""


def _tell_rule(line: str | None) -> str:
    return escape_text(shorten_rule(line)) if line else _NO_RULE


def _present_facts(page: LivePage, lookup: Lookup) -> tuple[Line, ...]:
    node = page.node
    if node is None:
        return ()
    key, total = node.newest.key, node.sum
    user = "" if key.uid is None else f", user {lookup.find_user(key.uid) or key.uid}"
    when = f"{lookup.tell_time(format_time(total.first_s))} to {lookup.tell_time(format_time(total.last_s))}"
    rules = sorted({_tell_rule(meter.key.rule) for meter in total.meters})
    facts = [
        Line("program", (span_of(key.program), Span(escape_text(user)))),
        Line("seen", (Span(f"{when}, {_count(total.connections, 'connection')}"),)),
    ]
    if page.told and page.told.row == node.key:
        return (*facts, *_present_told(page.told))
    return *facts, Line("decided by", (Span(rules[0] if len(rules) == 1 else f"{len(rules)} rules"),))


def _present_told(told: Told) -> list[Line]:
    """Why, since when, and what it beats."""
    said = told.explanation
    group = f" (group {escape_text(said.group)})" if said.group else ""
    facts = [Line("now", (Span(f"{said.verdict.value}: {escape_text(said.reason)}{group}"),))]
    if said.rule:
        facts.append(Line("rule", present_line(parse_rule(said.rule))))
    if told.note:
        facts.append(Line("since", (span_of(told.note),)))
    label = "beats" if said.rule else "misses"
    for beaten in said.beaten[:MOST_BEATEN]:
        facts.append(
            Line(label, (span_of(shorten_rule(beaten.rule)), Span(f": {escape_text(beaten.why)}", weight=Weight.QUIET)))
        )
    if len(said.beaten) > MOST_BEATEN:
        facts.append(Line("", (Span(f"and {len(said.beaten) - MOST_BEATEN} more"),)))
    return facts


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
