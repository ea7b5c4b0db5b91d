"""What `tinysnitch names` tells."""

from datetime import UTC, datetime

from tinysnitch.core.traffic.asked_names import AskedName, AskingProgram, NamesTotal
from tinysnitch.view.history.names_view import present_loads, present_names_total, present_programs
from tinysnitch.view.history.table import lay_out
from tinysnitch.view.span import text_of

NOW = datetime(2026, 12, 2, 20, 40, tzinfo=UTC)
AT_S = NOW.timestamp()


def ask(load: int, after_s: float, name: str, **fields: bool) -> AskedName:
    return AskedName(load=load, at_s=AT_S + after_s, program="/p", name=name, domain=name[-6:], questions=2, **fields)


def test_programs_and_how_much_they_ask_for() -> None:
    program = AskingProgram(
        program="/bin/\x1b[31mred", questions=1204, names=412, domains=60, used=200, denied=3, first_s=AT_S, last_s=AT_S
    )
    assert [text_of(line) for line in lay_out(present_programs([program], NOW), None)] == [
        "program           questions  names  domains  used  denied   last",
        "/bin/\\x1b[31mred      1,204    412       60   200       3  20:40",
    ]


def test_each_page_load_has_its_names_below_it() -> None:
    asked = [
        ask(0, 0, "shop.t", is_used=True, is_denied=True),
        ask(0, 0.25, "ads.\u202eshop.t", is_denied=True),
        ask(1, 90, ""),
    ]
    lines = [text_of(line) for line in present_loads(asked, NOW, 80)]
    assert lines[0] == "after  name                asked  then"
    assert [line.split() for line in lines[1:]] == [
        ["20:40:00", "2", "names", "of", "1", "domain"],
        ["0.0", "s", "shop.t", "2", "times", "used,", "denied"],
        ["0.2", "s", "ads.\\u202eshop.t", "2", "times", "denied"],
        [],
        ["20:41:30", "1", "name", "of", "1", "domain"],
        ["0.0", "s", "(not", "named)", "2", "times"],
    ]
    assert {line.index("2 times") for line in lines if "times" in line} == {len("0.0 s  ads.\\u202eshop.t  ")}


def test_the_total() -> None:
    told = present_names_total(NamesTotal(1, 1204, 412, 60), "midnight")
    assert told == "since midnight: 1,204 questions, 412 names, 60 domains"
