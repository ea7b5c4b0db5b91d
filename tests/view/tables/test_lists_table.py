"""The lists as a table."""

import msgspec

from tinysnitch.core.rules.list_entries import BadLine
from tinysnitch.protocol.messages import ListEntry, ListState
from tinysnitch.view.escape import cell_width
from tinysnitch.view.span import Weight, text_of
from tinysnitch.view.tables.lists_table import lay_out_lists, tell_age, tell_remarks

NOW_S = 1_700_003_600.0
ADS = ListEntry(
    list="ads",
    path="/etc/tinysnitch.d/lists/ads",
    rules=1,
    state=ListState.LOADED,
    names=1_000_000,
    bad_lines=2,
    bad_examples=(BadLine(7, "? ?"),),
    updated=1_700_000_000.0,
    source="https://lists.test/ads",
)
NONE = ListEntry(list="none", path="/etc/tinysnitch.d/lists/none", rules=1, state=ListState.MISSING)
HOSTILE = "\x1b[2J\u202e界\udcff"


def test_below_the_counts_of_a_list_stands_what_is_to_be_said_of_it() -> None:
    rows = list(lay_out_lists([ADS, NONE], NOW_S, 80))
    assert [text_of(row) for row in rows] == [
        "list      names  bad lines  rules        age",
        "ads   1,000,000          2      1  1 h 0 min",
        "  from https://lists.test/ads",
        "  line 7 is not understood: ? ?",
        "none                            1",
        "  MISSING, rules that name it match nothing: /etc/tinysnitch.d/lists/none",
    ]
    assert rows[-1][1].weight is Weight.BAD
    assert (tell_age(ADS, NOW_S), tell_age(NONE, NOW_S)) == ("1 h 0 min", "")


def test_what_is_not_as_it_should_be_has_a_colour() -> None:
    def told(**fields: object) -> tuple[str, Weight]:
        first, *_ = tell_remarks(msgspec.structs.replace(NONE, **fields))
        return first

    assert told(state=ListState.LOADING) == ("being read", Weight.WARNING)
    assert told(state=ListState.LOADED, problem="no room")[1] is Weight.BAD
    assert list(tell_remarks(msgspec.structs.replace(NONE, state=ListState.LOADED))) == []


def test_every_row_fits_and_nothing_in_it_draws() -> None:
    bad = (BadLine(1, HOSTILE * 30),)
    entry = msgspec.structs.replace(ADS, list=HOSTILE * 30, source=HOSTILE * 30, problem=HOSTILE, bad_examples=bad)
    for width in (40, 80):
        rows = [text_of(row) for row in lay_out_lists([entry], NOW_S, width)]
        assert all(row.isprintable() for row in rows)
        assert max(map(cell_width, rows)) <= width
