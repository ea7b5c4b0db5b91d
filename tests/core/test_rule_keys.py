from tests.core.test_ruleset import connection
from tinysnitch.core.facts import Facts
from tinysnitch.core.rule_keys import DIMENSIONS, KeyMaker, keys_of
from tinysnitch.core.rule_text import parse_rule


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
