"""Rows of one key add up; those that find no room are counted."""

from msgspec.structs import replace

from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.traffic.row import TrafficKey, TrafficRow
from tinysnitch.core.traffic.sums import Sums, add_up

KEY = TrafficKey("/usr/bin/curl", 1000, bytes(16), None, 443, 6, Direction.OUTBOUND, Verdict.ALLOW, None)
ROW = TrafficRow(KEY, 1, 10, 20, 5.0, 6.0)


def test_numbers_add_up_and_times_span_both() -> None:
    later = TrafficRow(KEY, 0, 1, 2, 5.5, 9.0)
    assert add_up(ROW, later) == add_up(later, ROW) == TrafficRow(KEY, 1, 11, 22, 5.0, 9.0)


def test_each_key_is_taken_once_and_then_begins_anew() -> None:
    sums, other = Sums(), replace(ROW, key=replace(KEY, port=80))
    sums.add([ROW, other, ROW])
    assert sums.take() == [replace(ROW, connections=2, bytes_in=20, bytes_out=40), other]
    sums.add([ROW])
    assert sums.take() == [ROW]
    assert sums.take() == []


def test_what_finds_no_room_is_counted_and_what_is_there_goes_on_adding_up() -> None:
    sums = Sums(max_rows=1)
    sums.add([ROW, replace(ROW, key=replace(KEY, port=80), connections=3), ROW])
    assert (sums.take()[0].connections, sums.lost) == (2, 3)
