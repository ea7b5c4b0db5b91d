"""How entries are laid out."""

from tinysnitch.view.span import Span, Weight, text_of
from tinysnitch.view.tables.entries import LEAST_ROOM, Entry, Paragraph, lay_out_entries

ENTRIES = [
    Entry((Span("界"),), (Paragraph("one two three four five six", "hint: ", Weight.BAD), Paragraph("/a/\x1b[2J"))),
    Entry((Span("bare"),), ()),
]


def test_what_is_said_stands_below_itself() -> None:
    rows = list(lay_out_entries(ENTRIES, 8, 30))
    assert [text_of(row) for row in rows] == [
        "界      hint: one two three",
        "              four five six",
        "        /a/\\x1b[2J",
        "bare",
    ]
    assert rows[0][2].weight is rows[1][1].weight is Weight.BAD


def test_however_narrow_it_is_there_is_room_for_words() -> None:
    rows = [text_of(row) for row in lay_out_entries([Entry((), (Paragraph("word " * 20),))], 8, 3)]
    assert max(map(len, rows)) <= 8 + LEAST_ROOM
    assert rows[0].count("word") == 4


def test_a_paragraph_with_too_many_rows_loses_its_end() -> None:
    entry = Entry((Span("why"),), (Paragraph("one two three four five six seven eight eleven"), Paragraph("nine")))
    rows = [text_of(row) for row in lay_out_entries([entry], 8, 28, most=2)]
    assert rows == ["why     one two three four", "        five six seven…", "        nine"]
