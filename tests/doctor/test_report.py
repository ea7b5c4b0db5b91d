from tinysnitch.doctor.finding import Finding, State, fine, for_root, lacking
from tinysnitch.doctor.report import entry_of, summarize
from tinysnitch.view.span import Weight, text_of
from tinysnitch.view.tables.entries import lay_out_entries

LACKING = Finding("BTF", State.LACKING, "no types \x1b[31m", "programs are known less surely", "boot another kernel")


def test_below_what_lacks_stand_what_follows_and_what_mends_it() -> None:
    rows = list(lay_out_entries([entry_of(LACKING)], 26, 50))
    assert [text_of(row) for row in rows] == [
        "lacking BTF               no types \\x1b[31m",
        "                          so programs are known",
        "                             less surely",
        "                          hint: boot another",
        "                                kernel",
    ]
    assert rows[0][0].weight is Weight.BAD


def test_the_last_line_names_what_lacks() -> None:
    assert summarize([fine("a", "")]) == "nothing lacks"
    assert summarize([LACKING]) == "lacking: BTF"
    seen = "lacking: BTF, b, as far as you may see; `sudo tinysnitch doctor` tells 1 more"
    assert summarize([LACKING, lacking("b", "", ""), for_root("c")]) == seen
