"""How a table gives way to the width of a terminal."""

import pytest

from tinysnitch.view.history.table import Table, draw_bar, format_bytes, lay_out
from tinysnitch.view.span import Span, text_of

TABLE = Table(
    head=("program", "connections", "denied", "in"),
    rows=tuple(
        ((Span(name),), (Span(count),), (), (Span(size),))
        for name, count, size in (("/usr/lib/firefox/firefox", "1,204", "48 MB"), ("/usr/bin/git", "3", "812 B"))
    ),
    left=frozenset({0}),
    bars=(1.0, 0.003),
    bar_behind=1,
)


def test_without_a_width_nothing_is_cut_and_nothing_drawn() -> None:
    assert [text_of(line) for line in lay_out(TABLE, None)] == [
        "program                   connections     in",
        "/usr/lib/firefox/firefox        1,204  48 MB",
        "/usr/bin/git                        3  812 B",
    ]


@pytest.mark.parametrize("width", [45, 60, 80, 200])
def test_on_a_terminal_it_fits_and_bars_take_what_is_left(width: int) -> None:
    lines = [text_of(line) for line in lay_out(TABLE, width)]
    assert max(map(len, lines)) <= width
    assert lines[1].endswith("  48 MB")
    assert lines[1].count("█") == min(max(width - 39, 6), 30)
    assert lines[2].count("▌") == 1
    assert lines[0].index("connections") == lines[1].index("1,204")


def test_all_columns_of_text_give_way_the_widest_first() -> None:
    cells = ((Span("/usr/bin/a-program-of-some-length"),), (Span("a.name.of.any.length.at.all.test"),), (Span("3"),))
    table = Table(head=("program", "domain", "connections"), rows=(cells,), left=frozenset({0, 1}))
    for width in (80, 60, 40):
        lines = [text_of(line) for line in lay_out(table, width)]
        assert max(map(len, lines)) <= width
        assert lines[1].endswith("test            3")
    assert [text_of(line).split()[0] for line in lay_out(table, 10)] == ["program", "/…e-length"]


@pytest.mark.parametrize("width", [12, 20, 29, 30])
def test_columns_at_the_right_are_left_out_where_there_is_no_room(width: int) -> None:
    lines = [text_of(line) for line in lay_out(TABLE, width)]
    assert max(map(len, lines)) <= width
    assert lines[0].split() == ["program", "connections", "in"][: {12: 1, 20: 1, 29: 2, 30: 3}[width]]


def test_a_bar_is_never_empty_but_of_nothing() -> None:
    assert [draw_bar(share, 4) for share in (0, 0.01, 0.5, 0.6, 1)] == ["", "▌", "██", "██▌", "████"]


def test_bytes_have_two_digits_or_three() -> None:
    counts = (0, 812, 1000, 9_949, 9_950, 48_123_456, 999_499, 999_500, 3 * 10**12, 10**20)
    told = ["0", "812 B", "1.0 kB", "9.9 kB", "10 kB", "48 MB", "999 kB", "1.0 MB", "3.0 TB", "100000 PB"]
    assert [format_bytes(count) for count in counts] == told
