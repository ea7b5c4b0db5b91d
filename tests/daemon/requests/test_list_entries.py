"""What clients are told about lists in the folder, and about lists that do not exist."""

from pathlib import Path

from tests.daemon.rules.test_lists import LONG, Place
from tinysnitch.core.rules.list_text import BadLine
from tinysnitch.core.rules.text import parse_rule
from tinysnitch.daemon.requests.list_entries import list_entries
from tinysnitch.protocol.messages import ListEntry, ListState

RULES = [
    parse_rule(line) for line in ("deny @ads - -", "deny @ads 443 tcp", "deny @none - -", "allow @resolvers 53 udp")
]


def test_every_list_and_what_it_holds(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("# source: https://a.test/\nads.test\n192.0.2.7\n198.51.100.0/24\n? ?\n")
    place.write("x.test\n", "unused")
    ads, none, unused = list_entries(place.loader, RULES)
    path = place.folder / "ads"
    assert ads == ListEntry(
        list="ads",
        path=str(path),
        rules=2,
        state=ListState.LOADED,
        names=1,
        addresses=1,
        networks=1,
        bad_lines=1,
        bad_examples=(BadLine(5, "? ?"),),
        updated=path.stat().st_mtime_ns / 1_000_000_000,
        source="https://a.test/",
    )
    assert none == ListEntry(list="none", path=str(place.folder / "none"), rules=1, state=ListState.MISSING)
    assert (unused.list, unused.rules, unused.state) == ("unused", 0, ListState.LOADED)


def test_a_list_on_its_way(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(LONG)
    (entry,) = list_entries(place.loader, ())
    assert (entry.state, entry.names, entry.updated) == (ListState.LOADING, 0, None)
    place.compiler.fail()
    (entry,) = list_entries(place.loader, ())
    assert (entry.state, entry.problem) == (ListState.MISSING, "no room")
