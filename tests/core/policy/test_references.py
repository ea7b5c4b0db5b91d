from tinysnitch.core.policy.references import Mentions, mentions_of
from tinysnitch.core.rules.rule_line import parse_rule


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
