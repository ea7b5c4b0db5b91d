from tinysnitch.core.policy.rule_index import LEAF_SIZE, RuleIndex
from tinysnitch.core.policy.rule_keys import DIMENSIONS
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import parse_rule

MANY = LEAF_SIZE * 3


def rule_of(remote: str = "-", program: str = "-", verdict: str = "allow") -> Rule:
    return parse_rule(f"{verdict} {remote} - - {program}")


def wanted(remote: str, program: str | None = None) -> tuple[frozenset[object], ...]:
    ports, service = frozenset({None}), frozenset({(False, None)})
    others = (frozenset({None}),) * (len(DIMENSIONS) - 4)
    return (frozenset({None, remote}), frozenset({None, program}), ports, service, *others)


def make_index(rules: list[Rule]) -> RuleIndex:
    index = RuleIndex()
    for rule in rules:
        assert index.add(rule)
    return index


def test_find_among_many_of_one_kind() -> None:
    by_remote = [rule_of(f"r{i}.test") for i in range(MANY)]
    by_program = [rule_of(program=f"/p{i}") for i in range(MANY)]
    index = make_index([*by_remote, *by_program])
    assert set(index.find(wanted("r3.test", "/p4"))) == {by_remote[3], by_program[4]}
    assert index.find(wanted("none.test")) == []


def test_rules_that_no_dimension_parts_stay_together() -> None:
    same = [rule_of("r.test", verdict=verdict) for verdict in ("allow", "deny", "ask")]
    lasting = [parse_rule(f"allow until={2030 + year}-01-01 r.test - -") for year in range(MANY)]
    index = make_index([*same, *lasting])
    assert len(index.find(wanted("r.test"))) == len(same) + MANY
    for rule in lasting:
        assert index.remove(rule)
    assert set(index.find(wanted("r.test"))) == set(same)


def test_every_rule_is_there_once() -> None:
    rules = [rule_of(f"r{i}.test") for i in range(MANY)]
    for size in (1, MANY):
        index = make_index(rules[:size])
        assert not any(index.add(rule) for rule in rules[:size])
        assert not any(index.add(rule_of(f"r{i}.test")) for i in range(size))
        assert [index.find(wanted(f"r{i}.test")) for i in range(size)] == [[rule] for rule in rules[:size]]
        assert not index.remove(rule_of("none.test"))


def test_a_rule_that_was_alone_with_its_key_gets_company() -> None:
    index = make_index([rule_of(f"r{i}.test") for i in range(MANY)])
    assert index.find(wanted("r3.test", "/p")) == [rule_of("r3.test")]
    assert index.add(rule_of("r3.test", "/p"))
    assert set(index.find(wanted("r3.test", "/p"))) == {rule_of("r3.test"), rule_of("r3.test", "/p")}
    assert index.remove(rule_of("r3.test"))
    assert index.find(wanted("r3.test", "/p")) == [rule_of("r3.test", "/p")]


def test_an_emptied_index_is_as_new() -> None:
    rules = [rule_of(f"r{i % 4}.test", f"/p{i}") for i in range(MANY)]
    index = make_index(rules)
    for rule in rules:
        assert index.remove(rule)
        assert not index.remove(rule)
    assert index.find(wanted("r1.test", "/p1")) == []
    assert index.add(rules[1])
    assert index.find(wanted("r1.test", "/p1")) == [rules[1]]


def test_the_rules_of_a_program_are_found_wherever_it_connects_to() -> None:
    of_p = [rule_of(f"r{i}.test", "/p", verdict) for i in range(MANY) for verdict in ("allow", "deny")]
    allowed, denied = rule_of("r1.test"), rule_of("r2.test", verdict="deny")
    index = make_index([*of_p, allowed, denied, *(rule_of(f"r{i}.test", "/q") for i in range(MANY))])
    assert index.find_of_program(["/p"], len(of_p)) == of_p
    assert index.find_of_program(["/p", None, "/none"], MANY * 3) == [*of_p, allowed]  # a denial for all is not listed
    assert index.find_of_program(["/p", None], len(of_p)) is None
    for rule in (*of_p[1:], allowed, denied):
        assert index.remove(rule)
    assert index.find_of_program(["/p", None], 1) == of_p[:1]
    assert index.remove(of_p[0])
    assert index.find_of_program(["/p"], 1) == []
