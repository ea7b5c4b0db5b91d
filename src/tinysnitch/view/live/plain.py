"""Who talks, as lines of text: all rows, unfolded, with their numbers first."""

from collections.abc import Iterator

from tinysnitch.view.live.live_page import LivePage
from tinysnitch.view.live.live_view import present_live
from tinysnitch.view.lookup import NO_LOOKUP
from tinysnitch.view.span import text_of

_TITLES = ("in/s", "out/s", "in", "out", "conn")
_UNFOLD = "plus"


def tell_traffic(page: LivePage, now: float) -> Iterator[str]:
    page.act(_UNFOLD, now)
    yield "  ".join((*(f"{title:>5}" for title in _TITLES), "verdict", "program, remote, connections"))
    count = len(page.nodes(now))
    for row in present_live(page, now, NO_LOOKUP, lambda _frame: count, line_width=0).rows:
        numbers = (row.rate_in or "0", row.rate_out or "0", row.bytes_in, row.bytes_out, row.connections)
        told = text_of(row.name).replace("▾ ", "")
        rule = f"  # {row.rule}" if told.lstrip().startswith(("→", "←")) else ""
        yield "  ".join((*(f"{number:>5}" for number in numbers), f"{row.verdict:<7}", f"{told}{rule}"))
