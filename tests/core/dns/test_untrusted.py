"""Questions to servers that are not trusted: kept until the program connects; see test_tracker.py for what is told."""

import pytest

from tests.core.engine.transcript import CURL, flow_of, inbound, whose
from tinysnitch.core.dns.untrusted import MAX_ASKED, MAX_ASKERS, UntrustedQueries
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import UDP, Flow
from tinysnitch.core.model.process import Attribution

CURL_ID = 7


def rogue(number: int = 0) -> Flow:
    return flow_of(50000, f"198.51.100.{number}", 53, UDP)


def connection(flow: Flow | None = None, who: Attribution = CURL, **fields: object) -> Connection:
    return Connection(flow=flow or flow_of(), attribution=who, **fields)  # type: ignore[arg-type]


@pytest.fixture
def questions() -> UntrustedQueries:
    made = UntrustedQueries()
    made.add(rogue(), CURL_ID)
    return made


def test_what_a_program_asked_is_found_when_it_connects(questions: UntrustedQueries) -> None:
    questions.add(rogue(), CURL_ID)
    found = questions.find(connection())
    assert found is not None
    assert (list(found.flows.values()), found.count) == ([rogue()], 2)
    questions.forget(CURL_ID)
    assert questions.find(connection()) is None


@pytest.mark.parametrize(
    "other",
    [
        connection(rogue()),
        connection(flow_of(port=853)),
        connection(flow_of(port=8, protocol=1)),
        connection(inbound()),
        connection(name="shop.test", is_name_sure=True),
        connection(who=whose(CURL_ID + 1)),
    ],
)
def test_other_connections_leave_what_was_asked(questions: UntrustedQueries, other: Connection) -> None:
    assert questions.find(other) is None
    assert questions.find(connection()) is not None


def test_a_program_that_is_asked_itself_is_never_found(questions: UntrustedQueries) -> None:
    questions.note_server(CURL_ID)
    questions.add(rogue(), CURL_ID)
    assert questions.find(connection()) is None


def test_each_table_is_bounded(questions: UntrustedQueries) -> None:
    for number in range(MAX_ASKED + 1):
        questions.add(rogue(number), CURL_ID)
    found = questions.find(connection())
    assert found is not None
    assert (len(found.flows), found.count) == (MAX_ASKED, MAX_ASKED + 2)
    for number in range(MAX_ASKERS):
        questions.add(rogue(), CURL_ID + 1 + number)
    assert questions.find(connection()) is None
