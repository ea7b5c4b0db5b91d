from tinysnitch.core.rule import Rule
from tinysnitch.core.rule_index import LEAF_SIZE, Entry, RuleIndex
from tinysnitch.core.rule_keys import DIMENSIONS
from tinysnitch.core.verdict import Verdict

MANY = LEAF_SIZE * 3


def entry(remote: object, program: object = None) -> Entry:
    return Entry(Rule(verdict=Verdict.ALLOW), (remote, program, *(None,) * (len(DIMENSIONS) - 2)))


def wanted(remote: object, program: object = None) -> tuple[frozenset[object], ...]:
    return (frozenset({None, remote}), frozenset({None, program}), *(frozenset({None}),) * (len(DIMENSIONS) - 2))


def test_find_among_many_of_one_kind() -> None:
    index = RuleIndex()
    by_remote = [entry(f"r{i}") for i in range(MANY)]
    by_program = [entry(None, f"p{i}") for i in range(MANY)]
    for one in (*by_remote, *by_program):
        index.add(one)
    assert {id(one) for one in index.find(wanted("r3", "p4"))} == {id(by_remote[3]), id(by_program[4])}
    assert index.find(wanted("none")) == []


def test_entries_that_no_dimension_parts_stay_together() -> None:
    index = RuleIndex()
    same = [entry("r") for _ in range(MANY)]
    for one in same:
        index.add(one)
    assert len(index.find(wanted("r"))) == MANY
    for one in same[1:]:
        index.remove(one)
    assert index.find(wanted("r")) == same[:1]


def test_an_emptied_index_is_as_new() -> None:
    index = RuleIndex()
    entries = [entry(f"r{i % 4}", f"p{i}") for i in range(MANY)]
    for one in entries:
        index.add(one)
    for one in entries:
        index.remove(one)
    assert index._root == []
