"""Answers, compared with what adding up one row after the other gives."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.traffic.rows import make_row
from tinysnitch.core.model.domain import find_registrable_domain, is_within
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.flow import Direction, format_address, parse_address
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.traffic.queries import By, TrafficQuestion
from tinysnitch.core.traffic.row import TrafficRow
from tinysnitch.store.traffic import traffic_reader
from tinysnitch.store.traffic.schema import HOUR_S, day_of
from tinysnitch.store.traffic.traffic_reader import TrafficReader
from tinysnitch.store.traffic.traffic_store import TrafficStore

DAY_S = 86_400
NOW = time.mktime((2026, 12, 2, 12, 30, 0, 0, 0, -1))
PROGRAMS = ("/usr/bin/curl", "/opt/curl", "/usr/bin/notcurl", "/usr/bin/\udcff\n", "kernel")
NAMES = ("shop.test", "cdn.shop.test", "evilshop.test", "a.b.shop.test", "lan", "printer.lan", None)
ADDRESSES = tuple(map(parse_address, ("192.0.2.7", "192.0.3.7", "2001:db8::1")))


def some_rows() -> Iterator[TrafficRow]:
    dice = random.Random(7)
    for _ in range(600):
        yield make_row(
            NOW - dice.choice((0, 1, 20, 47, 60, 200)) * HOUR_S,
            connections=dice.randrange(3),
            bytes_in=dice.randrange(2) * 10**6,
            bytes_out=dice.randrange(9),
            program=dice.choice(PROGRAMS),
            uid=dice.choice((None, 0, 1000)),
            name=dice.choice(NAMES),
            remote=dice.choice(ADDRESSES),
            port=dice.choice((53, 443)),
            protocol=dice.choice((6, 17)),
            direction=dice.choice(tuple(Direction)),
            verdict=dice.choice((Verdict.ALLOW, Verdict.DENY)),
            rule=dice.choice((None, "deny - - -")),
        )


ROWS = tuple(some_rows())
TELL: dict[By, Callable[[TrafficRow], str]] = {
    By.PROGRAM: lambda row: row.key.program,
    By.NAME: lambda row: row.key.name or format_address(row.key.remote),
    By.DOMAIN: lambda row: domain_of(row),
    By.PORT: lambda row: f"{row.key.port} {'tcp' if row.key.protocol == 6 else 'udp'}",
    By.USER: lambda row: "-1" if row.key.uid is None else str(row.key.uid),
    By.RULE: lambda row: row.key.rule or "",
    By.DAY: lambda row: time.strftime("%Y-%m-%d", time.localtime(row.last_s)),
}
FILTERS: tuple[tuple[dict[str, object], Callable[[TrafficRow], bool]], ...] = (
    ({}, lambda _row: True),
    ({"program": "curl"}, lambda row: row.key.program in PROGRAMS[:2]),
    ({"program": PROGRAMS[3]}, lambda row: row.key.program == PROGRAMS[3]),
    ({"to": "Shop.test."}, lambda row: is_within(row.key.name or "", "shop.test")),
    ({"to": "b.shop.test"}, lambda row: row.key.name == "a.b.shop.test"),
    ({"to": "lan"}, lambda row: row.key.name in ("lan", "printer.lan")),
    ({"to": "192.0.2.0/23"}, lambda row: row.key.name is None and row.key.remote in ADDRESSES[:2]),
    ({"to": "2001:db8::1"}, lambda row: row.key.name is None and row.key.remote == ADDRESSES[2]),
    ({"port": 53}, lambda row: row.key.port == 53),
    ({"uid": 1000, "is_denied": True}, lambda row: row.key.uid == 1000 and row.key.verdict is Verdict.DENY),
)


def domain_of(row: TrafficRow) -> str:
    name = row.key.name
    return format_address(row.key.remote) if name is None else find_registrable_domain(name) or name


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> TrafficReader:
    path = tmp_path_factory.mktemp("sums") / "traffic.sqlite"
    with closing(TrafficStore(path)) as store:
        for begin in range(0, len(ROWS), 50):  # so that old hours become days between rows of the same hour
            assert store.write(ROWS[begin : begin + 50], NOW).lost == 0
    return TrafficReader(path)


@pytest.mark.parametrize("by", By)
@pytest.mark.parametrize("span_s", [HOUR_S, 47 * HOUR_S, 4 * DAY_S, 30 * DAY_S])
def test_each_answer_is_the_sum_of_the_rows(reader: TrafficReader, by: By, span_s: int) -> None:
    since_s = NOW - span_s
    begin_s = since_s // HOUR_S * HOUR_S if span_s < 48 * HOUR_S else day_of(since_s)
    for asked, is_it in FILTERS:
        expected: dict[str, list[int]] = {}
        for row in ROWS:
            if is_it(row) and row.last_s >= begin_s:
                sums = expected.setdefault(TELL[by](row), [0, 0, 0, 0, 0])
                is_denied, is_inbound = row.key.verdict is Verdict.DENY, row.key.direction is Direction.INBOUND
                amounts = row.connections, row.connections * is_denied, row.connections * is_inbound
                sums[:] = (old + new for old, new in zip(sums, (*amounts, row.bytes_in, row.bytes_out), strict=True))
        question = TrafficQuestion(by=by, since_s=since_s, **asked)  # type: ignore[arg-type]
        lines, total = reader.answer(question, NOW)
        found = {line.what: [line.connections, line.denied, line.inbound, line.received, line.sent] for line in lines}
        assert found == {what: sums for what, sums in expected.items() if any(sums)}, asked
        assert (total.lines, total.connections) == (len(found), sum(sums[0] for sums in found.values()))
        cut, cut_total = reader.answer(TrafficQuestion(by=by, since_s=since_s, limit=1, **asked), NOW)  # type: ignore[arg-type]
        assert (cut, cut_total) == (lines[:1], total)


def test_new_is_what_a_program_never_did_before(reader: TrafficReader) -> None:
    firsts: dict[tuple[str, str], float] = {}
    for row in ROWS:
        pair = row.key.program, domain_of(row)
        firsts[pair] = min(firsts.get(pair, row.first_s), row.first_s)
    since_s = NOW - 50 * HOUR_S
    lines, total = reader.answer(TrafficQuestion(is_new=True, since_s=since_s), NOW)
    assert {(line.program, line.what) for line in lines} == {pair for pair, first in firsts.items() if first >= since_s}
    assert [line.first_s for line in lines] == sorted((line.first_s for line in lines), reverse=True)
    assert total.lines == len(lines) > 0
    narrow = TrafficQuestion(is_new=True, since_s=since_s, program="curl", to="shop.test")
    assert {line.what for line in reader.answer(narrow, NOW).lines} <= {"shop.test"}
    with pytest.raises(SnitchError, match="domains alone"):
        reader.answer(TrafficQuestion(is_new=True, port=443), NOW)


def test_what_cannot_be_answered_is_told(
    reader: TrafficReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SnitchError, match="empty label"):
        reader.answer(TrafficQuestion(to="a..b"), NOW)
    with pytest.raises(SnitchError, match="cannot be read"):
        TrafficReader(tmp_path / "missing").answer(TrafficQuestion(), NOW)
    monkeypatch.setattr(traffic_reader, "LIMIT_S", -1.0)
    monkeypatch.setattr(traffic_reader, "_STEPS", 1)
    with pytest.raises(SnitchError, match="takes too long"):
        reader.answer(TrafficQuestion(), NOW)
