"""What `make trips` counts, and that each of its trips goes where it should."""

import asyncio
from pathlib import Path

import pytest

from bench.trips import SOURCE, Trip, small_daemon, take, take_all
from tinysnitch.core.model.flow import format_address, is_v4, parse_address

# What a trip must have passed, by its name: else it is a short one for a bad reason.
ENDS = {
    "packet that a rule decides": "VerdictSink.carry_out",
    "packet that is asked about": "ControlClients.push_prompt",
    "answer: yes, forever": "RulesFile.save",
    "DNS question": "Names.ask",
    "DNS answer": "Names.learn",
}


def test_calls_of_the_project_are_counted_and_no_others() -> None:
    address = parse_address("192.0.2.1")
    trip = asyncio.run(take("it", lambda: (format_address(address), len(address), is_v4(bytes(16)))))
    assert [code.co_name for code in trip.calls] == ["format_address", "is_v4", "is_v4"]


def test_files_change_where_the_next_call_is_in_another_one() -> None:
    first, second = (compile("pass", str(SOURCE / name), "exec") for name in ("a.py", "b.py"))
    trip = Trip("it", [first, first, second, first])
    assert trip.row() == "| it | 2 | 2 | 4 | 2 |"


@pytest.fixture(name="trips")
def _trips(tmp_path: Path) -> list[Trip]:
    async def run() -> list[Trip]:
        async with small_daemon(tmp_path) as place:
            return await take_all(place)

    return asyncio.run(run())


def test_each_trip_comes_to_its_end(trips: list[Trip]) -> None:
    passed = {trip.name: {code.co_qualname for code in trip.calls} for trip in trips}
    assert passed.keys() == ENDS.keys()
    assert [name for name, end in ENDS.items() if end not in passed[name]] == []
