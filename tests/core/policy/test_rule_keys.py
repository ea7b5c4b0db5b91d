""""""

import gc
import weakref

import pytest
from msgspec.structs import replace

from tests.core.policy.test_ruleset import CURL, by, connection, ruleset
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.policy.rule_keys import DIMENSIONS, KeyMaker, PatternTable, keys_of
from tinysnitch.core.rules.rule_line import parse_rule


def test_one_key_for_each_dimension() -> None:
    rule = parse_rule("allow user=a - - -")
    assert dict(zip(DIMENSIONS, keys_of(rule), strict=True))["user"] == "a"
    assert len(KeyMaker(Facts()).keys_for(connection())) == len(DIMENSIONS)


def test_kinds_of_remotes_and_programs_never_share_a_key() -> None:
    remotes = ["-", "lan", "'lan'", "*.lan", "@lan", "10.0.0.0/8", "'10.0.0.0'", "localhost", "'localhost'"]
    programs = ["-", "kernel", "unknown", "/kernel", "/*", "'/*'", "unit:kernel"]
    lines = [f"allow {remote} - - {program}" for remote in remotes for program in programs]
    assert len({keys_of(parse_rule(line)) for line in lines}) == len(lines)


def test_only_what_rules_use_is_looked_for() -> None:
    maker = KeyMaker(Facts())
    bare = maker.keys_for(connection(None))
    rules = [parse_rule(f"allow {text}") for text in ("93.0.0.0/8 - -", "- 1-999 tcp", "- - - /**", "localhost - -")]
    for rule in rules:
        maker.count(rule, 1)
    assert [len(keys) for keys in maker.keys_for(connection(None))[:3]] == [2, 3, 3]
    for rule in rules:
        maker.count(rule, -1)
    assert maker.keys_for(connection(None)) == bare


def test_the_keys_of_a_program_are_those_of_its_connections() -> None:
    maker = KeyMaker(Facts())
    assert maker.program_keys_for(by(CURL)) == {None, CURL.program}
    assert maker.program_keys_for(by(CURL)) == maker.keys_for(connection())[DIMENSIONS.index("program")]


def test_what_is_replaced_waits_for_no_collection() -> None:
    """It holds the facts, and these the mapped files of lists. A quiet daemon collects garbage once in days."""
    maker = KeyMaker(Facts())
    maker.count(parse_rule("allow - - - /opt/*"), 1)
    left = weakref.ref(maker)
    gc.disable()
    try:
        del maker
        assert left() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("verdict", [Verdict.DENY, Verdict.ASK])
@pytest.mark.parametrize(
    ("args", "captured", "is_taken"),
    [
        ("-s https://shop.test/", ("-s", "https://sh"), True),
        ("-s https://shop.test/", ("-s", "https://shop.test/"), True),
        ("-s https://shop.test/ -v", ("-s", "https://shop.test/"), True),
        ("-s https://shop.test/", (), True),
        ("()", (), True),
        ("-s grün", ("-s", "gr\udcc3"), True),  # cut in the middle of a character
        ("-s https://shop.test/", ("-s", "https://other"), False),
        ("-s https://shop.test/", ("-v", "https://sh"), False),
        ("-s", ("-s", "https://sh"), False),
        ("()", ("-s",), False),
    ],
)
def test_cut_arguments_are_those_that_they_may_begin(
    verdict: Verdict, args: str, captured: tuple[str, ...], is_taken: bool
) -> None:
    """Arguments that are too long to be captured must not evade a denial; nor does a rule allow what they may be."""
    asked = connection(program=by(replace(CURL, args=captured, are_args_complete=False)))
    rules = ruleset("allow - - - /usr/bin/curl", f"{verdict.value} - - - /usr/bin/curl {args}")
    expected = verdict if is_taken else Verdict.ALLOW
    assert rules.decide(asked, 0.0).verdict is expected
    assert rules.decide(asked, 0.0).columns.args
    assert rules.explain(asked, 0.0).decision.verdict is expected
    rules.remove(parse_rule(f"{verdict.value} - - - /usr/bin/curl {args}"))
    rules.add(parse_rule(f"allow - - - /usr/bin/curl {args}"))
    rules.add(parse_rule("deny - - - /usr/bin/curl"))
    assert rules.decide(asked, 0.0).verdict is Verdict.DENY


def test_what_denies_cut_arguments_does_not_have_a_narrower_rule_allow_them() -> None:
    """The rule that denies matches cut arguments. A rule that allows the same ones must not match because of that."""
    asked = connection(program=by(replace(CURL, args=("-s", "https://sh"), are_args_complete=False)))
    whole = "/usr/bin/curl -s https://shop.test/"
    rules = ruleset(f"deny - - - {whole}", f"allow example.com 443 tcp {whole}")
    assert rules.decide(asked, 0.0).verdict is Verdict.DENY


def test_what_denies_an_unread_sum_does_not_have_a_narrower_rule_allow_it() -> None:
    asked = connection(program=by(replace(CURL, is_sha256_told=False)))
    total = f"sha256={'ab' * 32}"
    rules = ruleset(f"deny {total} - - -", f"allow {total} example.com 443 tcp /usr/bin/curl")
    assert rules.decide(asked, 0.0).verdict is Verdict.DENY


def test_find_follows_what_is_in_use() -> None:
    table: PatternTable[str] = PatternTable(lambda pattern, text: text.startswith(pattern))
    assert table.find("abc") == ()
    for pattern in ("a", "ab", "a", "x"):
        table.count(pattern, 1)
    assert table.find("abc") == ("a", "ab")
    table.count("a", -1)
    assert table.find("abc") == ("a", "ab")
    table.count("a", -1)
    assert table.find("abc") == ("ab",)


def test_a_value_is_looked_at_once() -> None:
    asked: list[str] = []
    table: PatternTable[str] = PatternTable(lambda pattern, text: asked.append(text) is None)
    table.count("a", 1)
    assert [table.find("b"), table.find("b")] == [("a",), ("a",)]
    assert asked == ["b"]
    table.forget()
    assert table.find("b") == ("a",)
    assert asked == ["b", "b"]
