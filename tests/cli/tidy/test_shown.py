from datetime import UTC, datetime

from tinysnitch.cli.tidy.shown import (
    MOST_SHOWN,
    LearnedItem,
    present_keys,
    present_learned,
    present_learned_line,
    present_proposal,
)
from tinysnitch.core.tidy.proposal import Kind
from tinysnitch.protocol.messages import LearnedEntry, LearnedLine, ProposalEntry, WiderRule

NOW = datetime(2026, 12, 2, 20, 40, tzinfo=UTC)
NEW = f"allow *.shop.test 443 tcp /usr/bin/{'x' * 80}"


def test_what_comes_is_shown_whole_and_what_goes_is_cut_and_counted() -> None:
    old = tuple(f"allow n{number}.shop.test 443 tcp /usr/bin/{'x' * 80}" for number in range(MOST_SHOWN + 3))
    entry = ProposalEntry(Kind.DOMAIN, old, NEW, "their names\x1b[2J", "also more")
    lines = list(present_proposal(entry, "1 of 2", 60))
    assert lines[0] == "1 of 2  their names\\x1b[2J"
    assert all(len(line) <= 60 for line in lines)
    assert "  - and 3 more" in lines
    assert "".join(line.strip() for line in lines).count("x" * 80) == 1
    assert lines[-1] == "  also more"


def test_secrets_in_what_goes_are_shortened() -> None:
    entry = ProposalEntry(Kind.COVERED, ("allow - - - /bin/x --token abcdefghijkl",), None, "covered", "")
    assert list(present_proposal(entry, "1 of 1", 79))[2:] == [
        "  - allow - - - /bin/x --token 'abc…'",
        "",
        "  changes nothing",
    ]


def test_an_item_goes_from_its_lines_to_the_widest_rule_and_back() -> None:
    lines = (LearnedLine("allow a.b - -", "learn since 2026-12-02T12:20:03Z", 1), LearnedLine("allow c.b - -"))
    entry = LearnedEntry(
        kind=Kind.DOMAIN,
        lines=lines,
        added="allow *.b - -",
        why="names",
        effect="e",
        wider=(WiderRule("allow - - -", "w"),),
    )
    item = LearnedItem(entry)
    assert list(present_learned(item, "1 left", 79, NOW)) == [
        "1 left  names",
        "",
        "    allow a.b - -",
        "    allow c.b - -",
        "  + allow *.b - -",
        "",
        "  passed once while observing since 12:20",
        "  e",
    ]
    assert present_keys(item.keys) == "  y take   w widen   n narrow   d drop   s later   q quit "
    item.widen()
    assert (item.rule, item.effect, "w" in item.keys) == ("allow - - -", "w", False)
    assert item.narrow() == [item]
    first, second = item.narrow()
    assert (first.rule, second.rule, list(first.keys)) == ("allow a.b - -", "allow c.b - -", list("ywdsq"))
    assert list(present_learned(first, "1 left", 79, NOW))[2:] == [
        "    allow a.b - -",
        "",
        "  passed once while observing since 12:20",
        "  lets pass this alone",
    ]
    assert present_learned_line(entry) == "allow *.b - -  # 2 lines, learn since 2026-12-02T12:20:03Z, once; e"
    gone = LearnedItem(LearnedEntry(kind=Kind.DENIED, lines=lines[:1], added=None, why="denied", effect=""))
    assert (gone.rule, list(gone.keys)) == (None, list("dsq"))
    assert "  - allow a.b - -" in present_learned(gone, "1 left", 79, NOW)
