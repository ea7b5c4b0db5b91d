import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.policy import references as mentions
from tinysnitch.core.policy.references import MentionCount, Mentions, mentions_of
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.text import parse_rule


def test_lists_users_programs_parents_and_patterns_are_mentioned() -> None:
    lines = [
        "deny @ads - -",
        "allow @resolvers 53 udp",
        "allow parent=/a/p - - - /a/x",
        "deny - - - /b/c*/d",
        "allow - - - unit:x",
        "allow user=1000 parent=/own/p - - - /own/x",
        "allow user=alice - - - /own/*",
        "allow user=12 - - -",
    ]
    assert mentions_of(map(parse_rule, lines)) == Mentions(
        lists=frozenset({"ads"}),
        users=frozenset({"alice"}),
        paths=frozenset({"/a/p", "/a/x", "/own/p", "/own/x"}),
        patterns=frozenset({"/b/c*/d", "/own/*"}),
        own_paths=frozenset({"/own/p", "/own/x"}),
        own_patterns=frozenset({"/own/*"}),
    )


def test_what_says_none_of_that_mentions_nothing() -> None:
    assert mentions_of([parse_rule("allow a.test 443 tcp")]) == Mentions()


def test_what_two_sets_of_rules_mention_is_put_together() -> None:
    lines = ["deny @ads - -", "allow user=alice - - - /own/*", "allow parent=/a/p - - - /a/x"]
    one, two, three = ([parse_rule(line)] for line in lines)
    assert mentions_of(one) | mentions_of(two) | mentions_of(three) == mentions_of([*one, *two, *three])


def test_what_has_all_is_taken_itself() -> None:
    less, more = mentions_of(RULES[:2]), mentions_of(RULES)
    assert (less | more).paths is more.paths


RULES = tuple(
    map(
        parse_rule,
        (
            "deny @ads - -",
            "allow user=alice - - - /own/*",
            "allow user=alice parent=/a/p - - - /a/x",
            "allow parent=/a/x - - - /a/x",
            "allow a.test - -",
        ),
    )
)


@given(st.lists(st.lists(st.sampled_from(RULES)), max_size=5))
def test_a_count_that_goes_on_finds_what_a_new_one_does(edits: list[list[Rule]]) -> None:
    count = MentionCount()
    for rules in edits:
        assert count.find(rules) == mentions_of(rules)


def test_rules_that_stay_are_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    many = tuple(parse_rule(f"allow - - - /p/{number}") for number in range(20))
    count, looked_at = MentionCount(), list[Rule]()
    before = count.find(many)
    words_of = mentions._words_of
    monkeypatch.setattr(mentions, "_words_of", lambda rules: looked_at.extend(rules) or words_of(rules))
    assert count.find(iter(many)) is before
    assert count.find((*many[:5], RULES[0], *many[6:])).lists == {"ads"}
    assert looked_at == [RULES[0], many[5]]


def test_after_a_failure_all_are_counted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    count = MentionCount()
    count.find(RULES)
    with monkeypatch.context() as starved:

        def fail(*_: object) -> None:
            raise MemoryError

        starved.setattr(mentions, "_take_away", fail)
        with pytest.raises(MemoryError):
            count.find(RULES[1:])
    assert count.find(RULES[1:]) == mentions_of(RULES[1:])
