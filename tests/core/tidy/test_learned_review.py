"""What passed without a rule, as the fewest lines: none allows what a rule denies, or changes what one decides."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.rules.rule_strategies import FACTS
from tests.core.tidy.tidied import connection_lists, decide, is_matched, similar_rules
from tinysnitch.client.packaged_catalogue import read_catalogue
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import format_rule, parse_rule, parse_rules
from tinysnitch.core.tidy.joins import KeepsArgs
from tinysnitch.core.tidy.learned_review import Reviewed, may_be_taken, review
from tinysnitch.core.tidy.proposal import Kind
from tinysnitch.core.tidy.scope_index import ScopeIndex

CURL = "tcp /usr/bin/curl"
LEARNED = [
    f"allow api.shop.test 443 {CURL}",
    f"allow www.shop.test 443 {CURL}",
    f"allow www.shop.test 80 {CURL}",
    f"allow api.shop.test 80 {CURL}",
    f"allow ads.test 443 {CURL}",
    f"allow 192.0.2.1 22 {CURL}",
    "allow x.ok.test 443 tcp /usr/bin/wget",
]
IN_FORCE = ["deny ads.test - -", "allow *.ok.test - - /usr/bin/wget"]


def reviewed(learned: list[Rule], in_force: list[Rule], keeps_args: KeepsArgs = lambda *_: False) -> list[Reviewed]:
    return list(review(learned, in_force, FACTS, keeps_args))


def test_the_fewest_lines_say_what_passed() -> None:
    found = reviewed(list(map(parse_rule, LEARNED)), list(map(parse_rule, IN_FORCE)))
    assert [(each.proposal.kind, each.proposal.added and format_rule(each.proposal.added)) for each in found] == [
        (Kind.DOMAIN, f"allow *.shop.test 80,443 {CURL}"),
        (Kind.ALONE, f"allow 192.0.2.1 22 {CURL}"),
        (Kind.DENIED, None),
        (Kind.COVERED, None),
    ]
    lines = [format_rule(rule) for each in found for rule in each.proposal.removed]
    assert sorted(lines) == sorted(LEARNED)
    domain = found[0]
    assert "every other name of shop.test" in domain.proposal.effect
    assert [format_rule(wider.rule) for wider in domain.wider] == [f"allow - 80,443 {CURL}"]
    assert found[2].proposal.why == "a rule in force denies it: deny ads.test - -"


def test_a_line_that_says_what_passed_and_no_more_says_so() -> None:
    (ports,) = reviewed([parse_rule(f"allow 192.0.2.1 {port} {CURL}") for port in (22, 80)], [])
    assert ports.proposal.kind is Kind.PORTS
    assert ports.proposal.effect == "lets pass these 2 and nothing else"


def test_an_hour_of_48_commands_is_26_lines() -> None:
    text = Path(__file__).with_name("hour.rules").read_text()
    learned, errors = parse_rules(text, "hour.rules")
    found = reviewed(learned, [], read_catalogue().keeps_args)
    assert (len(learned), errors, len(found)) == (33, [], 26)
    assert [rule for each in found for rule in each.proposal.removed if each.proposal.added is None] == []


def test_a_wider_line_is_offered_only_where_no_rule_says_otherwise() -> None:
    (alone,) = reviewed([parse_rule(f"allow a.b.test 443 {CURL}")], [])
    assert [format_rule(wider.rule) for wider in alone.wider] == [f"allow *.b.test 443 {CURL}", f"allow - 443 {CURL}"]
    (asked,) = reviewed([parse_rule(f"allow a.b.test 443 {CURL}")], [parse_rule("ask *.test - -")])
    assert [format_rule(wider.rule) for wider in asked.wider] == [f"allow - 443 {CURL}"]


@given(st.data())
@settings(max_examples=200)
def test_what_is_taken_changes_exactly_what_it_says(data: st.DataObject) -> None:
    """Neither a line as it is proposed nor a wider one decides what a rule decides."""
    asked = data.draw(connection_lists())
    in_force = data.draw(similar_rules(asked))
    learned = [replace(rule, verdict=Verdict.ALLOW) for rule in data.draw(similar_rules(asked))]
    for each in reviewed(learned, in_force):
        proposal = each.proposal
        if proposal.added is None:
            continue
        index = ScopeIndex(FACTS, in_force)
        assert may_be_taken(proposal.added, index)
        for rule in (proposal.added, *(wider.rule for wider in each.wider)):
            for connection in asked:
                was, now = decide(in_force, connection), decide([*in_force, rule], connection)
                is_seen = is_matched(proposal.removed, connection)  # it passed already, whatever asks about it
                if now.verdict is not was.verdict:
                    assert was.verdict is Verdict.ASK
                    assert now.verdict is Verdict.ALLOW
                    assert was.rule is None or is_seen
                    assert is_matched([rule], connection)


@given(st.data())
@settings(max_examples=100)
def test_all_that_passed_passes_once_all_is_taken(data: st.DataObject) -> None:
    asked = data.draw(connection_lists())
    learned = [replace(rule, verdict=Verdict.ALLOW) for rule in data.draw(similar_rules(asked))]
    found = reviewed(learned, [])
    taken = [each.proposal.added for each in found if each.proposal.added]
    assert len(taken) <= len(learned)
    for connection in asked:
        if decide(learned, connection).rule is not None:
            assert decide(taken, connection).verdict is Verdict.ALLOW


def test_of_more_names_than_a_message_holds_one_line_comes_first_and_covers_the_rest() -> None:
    learned = [parse_rule(f"allow n{number}.shop.test 443 {CURL}") for number in range(1000)]
    (first,) = reviewed(learned, [])
    assert first.proposal.added == parse_rule(f"allow *.shop.test 443 {CURL}")
    rest = reviewed(learned[len(first.proposal.removed) :], [first.proposal.added])
    assert {each.proposal.kind for each in rest} == {Kind.COVERED}
    assert sum(len(each.proposal.removed) for each in (first, *rest)) == 1000
