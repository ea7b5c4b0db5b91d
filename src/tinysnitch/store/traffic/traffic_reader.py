"""Answers questions about the sums, by a connection of its own that only reads. For a thread, as it may take long."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import NamedTuple

from tinysnitch.core.model.domain import find_registrable_domain, normalize_name
from tinysnitch.core.model.errors import Malformed, SnitchError
from tinysnitch.core.model.flow import V4_PREFIX, format_protocol
from tinysnitch.core.model.past import Past, PastQuestion
from tinysnitch.core.traffic.asked_names import NamesQuestion
from tinysnitch.core.traffic.queries import By, TrafficLine, TrafficQuestion, TrafficTotal
from tinysnitch.store.database import reason_of
from tinysnitch.store.traffic.asked_names_reader import NamesAnswer, find_names
from tinysnitch.store.traffic.interned import Filter, at_end, filter_of_program, read_texts
from tinysnitch.store.traffic.past_reader import find_past
from tinysnitch.store.traffic.schema import ADDRESS, HOUR_S, NAME, day_of

LIMIT_S = 10.0  # of one question
BY_HOURS_S = 48 * HOUR_S  # a question that looks back no farther is answered to the hour, others to the day
_STEPS = 200_000  # of SQLite's machine between two looks at the clock: some milliseconds

_GROUPS = {
    By.PROGRAM: "program",
    By.NAME: "remote",
    By.DOMAIN: "domain",
    By.PORT: "port, protocol",
    By.USER: "uid",
    By.DAY: "day",
    By.RULE: "rule",
}
_OF_TEXTS = (By.PROGRAM, By.NAME, By.DOMAIN, By.RULE)
_AMOUNTS = "first, last, connections, denied * connections as denied, inbound * connections as inbound, received, sent"
_OF_ROWS = f"select program, remote, port, protocol, uid, day, domain, rule, {_AMOUNTS} from {{table}}"
_OF_DAYS = f"select program, uid, day, domain, {_AMOUNTS} from day_sums"
_SUMS = """min(first) as first, max(last) as last, sum(connections) as connections, sum(denied) as denied,
  sum(inbound) as inbound, sum(received) as received, sum(sent) as sent"""
_LINES = f"""
with lines as materialized (select {{group}}, {_SUMS} from ({{source}}) group by {{group}})
select first, last, connections, denied, inbound, received, sent,
  count(*) over (), sum(connections) over (), sum(denied) over (), sum(received) over (), sum(sent) over (), {{group}}
from lines where connections > 0 or received > 0 or sent > 0 order by {{order}} limit ?
"""
_PAIRS = """
select min(first) as first, max(last), sum(allowed + denied), sum(denied), 0, 0, 0,
  count(*) over (), sum(sum(allowed + denied)) over (), sum(sum(denied)) over (), 0, 0, domain, program
from pairs where {where} group by domain, program having min(first) >= ? order by first desc limit ?
"""


class Answer(NamedTuple):
    lines: tuple[TrafficLine, ...]
    total: TrafficTotal


class TrafficReader:
    def __init__(self, path: Path) -> None:
        self._path = path

    def answer(self, question: TrafficQuestion, now_s: float) -> Answer:
        """Raises SnitchError."""
        with self._reading() as db:
            return _find_pairs(db, question) if question.is_new else _find_lines(db, question, now_s)

    def answer_names(self, question: NamesQuestion) -> NamesAnswer:
        """Raises SnitchError."""
        with self._reading() as db:
            return find_names(db, question)

    def find_pasts(self, questions: Sequence[PastQuestion]) -> dict[int, Past]:
        """By the number of the prompt; nothing while there is no history. Raises SnitchError."""
        with self._reading() as db:
            found = {each.prompt_id: find_past(db, each) for each in questions}
        return {prompt_id: past for prompt_id, past in found.items() if past}

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        ends_s = time.monotonic() + LIMIT_S
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)) as db:
                db.set_progress_handler(lambda: time.monotonic() > ends_s, _STEPS)
                yield db
        except sqlite3.Error as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise SnitchError("the question takes too long", "ask for a shorter time, with --since") from error
            hint = "see that its folder is there, and has room; the log of tinysnitchd tells more"
            raise SnitchError(f"the history {self._path} cannot be read: {reason_of(error)}", hint) from error


def _find_lines(db: sqlite3.Connection, question: TrafficQuestion, now_s: float) -> Answer:
    is_by_hours = question.since_s >= now_s - BY_HOURS_S
    since = int(question.since_s) // HOUR_S * HOUR_S if is_by_hours else day_of(question.since_s)
    own = _filter_of(question)
    if is_by_hours or own.needs_rows or question.by in (By.NAME, By.PORT, By.RULE):
        tables = ("hours",) if is_by_hours else ("hours", "days")
        parts = [f"{_OF_ROWS.format(table=table)} where period >= ? and {own.where}" for table in tables]
    else:
        parts = [f"{_OF_DAYS} where day >= ? and {own.where}"]
        if question.by is By.DOMAIN:  # as the table lies: so the days are summed up without sorting what is in them
            parts = [f"select domain, {_SUMS} from ({parts[0]}) group by day, domain"]
    query = _LINES.format(
        source=" union all ".join(parts),
        group=_GROUPS[question.by],
        order="day" if question.by is By.DAY else "connections desc, received + sent desc",
    )
    values = (since, *own.values) * len(parts)
    return _answer_of(db, question, db.execute(query, (*values, question.limit)).fetchall())


def _find_pairs(db: sqlite3.Connection, question: TrafficQuestion) -> Answer:
    own = _filter_of(question)
    if own.needs_rows:
        raise SnitchError("what is new is known of programs and domains alone", "leave out --port, and networks")
    query = _PAIRS.format(where=own.where)
    return _answer_of(db, question, db.execute(query, (*own.values, question.since_s, question.limit)).fetchall())


def _answer_of(db: sqlite3.Connection, question: TrafficQuestion, rows: list[tuple[int, ...]]) -> Answer:
    by = By.DOMAIN if question.is_new else question.by
    texts = read_texts(db, (row[12] for row in rows)) if by in _OF_TEXTS else {}
    programs = read_texts(db, (row[13] for row in rows)) if question.is_new else {}
    lines = tuple(
        TrafficLine(
            what=texts.get(row[12], "") if by in _OF_TEXTS else _tell(by, row[12:]),
            program=programs.get(row[13], "") if question.is_new else None,
            first_s=row[0],
            last_s=row[1],
            connections=row[2],
            denied=row[3],
            inbound=row[4],
            received=row[5],
            sent=row[6],
        )
        for row in rows
    )
    return Answer(lines, TrafficTotal(*rows[0][7:12]) if rows else TrafficTotal())


def _tell(by: By, group: tuple[int, ...]) -> str:
    match by:
        case By.PORT:
            port, protocol = group
            return f"{port} {format_protocol(protocol)}" if port else format_protocol(protocol)
        case By.DAY:
            return time.strftime("%Y-%m-%d", time.localtime(group[0]))
        case _:
            return str(group[0])


# What a question asks about


def _filter_of(question: TrafficQuestion) -> Filter:
    parts = [Filter("1")]
    if question.program is not None:
        parts.append(filter_of_program(question.program))
    if question.to is not None:
        parts.append(_filter_of_remote(question.to))
    if question.port is not None:
        parts.append(Filter("port = ?", (question.port,), needs_rows=True))
    if question.uid is not None:
        parts.append(Filter("uid = ?", (question.uid,)))
    if question.is_denied:
        parts.append(Filter("denied"))
    values = tuple(value for part in parts for value in part.values)
    return Filter(" and ".join(part.where for part in parts), values, any(part.needs_rows for part in parts))


def _filter_of_remote(to: str) -> Filter:
    """A network, a registered domain, or any other name with all below it. The domain of an address is that itself."""
    network = _parse_network(to)
    if network:
        is_within, values = "text between ? and ?", (_packed(network[0]), _packed(network[-1]))
        return Filter(
            f"domain in (select id from texts where kind = {ADDRESS} and {is_within})", values, needs_rows=False
        )
    name = _parse_name(to)
    text = name.encode()
    if find_registrable_domain(name) == name:
        return Filter(f"domain in (select id from texts where kind = {NAME} and text = ?)", (text,))
    is_like_it, end = at_end(text, b".")
    return Filter(f"remote in (select id from texts where kind = {NAME} and {is_like_it})", end, needs_rows=True)


def _parse_network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _parse_name(text: str) -> str:
    try:
        return normalize_name(text.removeprefix("*."))
    except Malformed as error:
        raise SnitchError(str(error), "write a name, an address or a network") from None


def _packed(address: object) -> bytes:
    packed: bytes = address.packed  # type: ignore[attr-defined]
    return V4_PREFIX + packed if len(packed) == 4 else packed
