"""The open questions as a table."""

from msgspec.structs import replace

from tests.daemon.requests.small_handler import make_prompt
from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import UNKNOWN
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.view.escape import cell_width
from tinysnitch.view.history.table import lay_out
from tinysnitch.view.span import text_of
from tinysnitch.view.tables.asks_table import present_asks, tell_asks

HOSTILE = "/tmp/\x1b[2J\u202e\n界\udcff"


def rows_of(*prompts: Prompt, width: int = 100) -> list[str]:
    return [text_of(row) for row in lay_out(present_asks(prompts), width)]


def test_who_asks_for_what_and_how_long_still() -> None:
    prompt = make_prompt(12)
    other = make_prompt(3, is_host_file=False, args=(), owners=("container:web",))
    unknown = replace(prompt, connection=replace(prompt.connection, attribution=UNKNOWN), count=1, remaining_s=171.4)
    flow = replace(prompt.connection.flow, direction=Direction.INBOUND, local_port=22)
    visitor = replace(unknown, connection=replace(unknown.connection, flow=flow, name=None))
    assert rows_of(prompt, other, unknown, visitor) == [
        "    program                                            remote      port    waiting        left",
        "12  /usr/bin/curl google.com                        →  google.com  80 tcp        2        52 s",
        " 3  /usr/bin/curl (another file, of container:web)  →  google.com  80 tcp        2        52 s",
        "12  unknown                                         →  google.com  80 tcp           2 min 51 s",
        "12  unknown                                         ←  192.0.2.7   22 tcp           2 min 51 s",
    ]
    assert tell_asks(1) == "1 question is open; `tinysnitch answer ID yes` (or `no`) answers one"
    assert tell_asks(2).startswith("2 questions are open; ")


def test_a_secret_is_shortened() -> None:
    assert "0mWk…" in rows_of(make_prompt(3, args=("--token", "0mWk3Zq8TxLr5Vb1Nc7H")))[1]


def test_every_row_fits_and_nothing_in_it_draws() -> None:
    prompt = make_prompt(3, program=HOSTILE * 20, args=(HOSTILE * 20,), is_host_file=False, owners=(HOSTILE,))
    named = replace(prompt, connection=replace(prompt.connection, name="\u202e界" * 90))
    for width in (40, 80, 120):
        rows = rows_of(named, prompt, width=width)
        assert all(row.isprintable() for row in rows)
        assert max(map(cell_width, rows)) <= width
