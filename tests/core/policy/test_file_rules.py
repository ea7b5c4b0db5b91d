"""What an edit changes of the rules of the file."""

from tinysnitch.core.policy.file_rules import FileRules
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.text import parse_rule

LISTED = tuple(parse_rule(f"allow n{number}.test - -") for number in range(20))
NEW = parse_rule("deny - - -")


def edit(before: FileRules, new: tuple[Rule, ...]) -> tuple[list[Rule], list[Rule], FileRules]:
    found = before.find_edit(new, lambda rule: rule in before.listed)
    assert found
    return list(found.gone), list(found.came), found.after


def test_only_what_differs_is_gone_or_came() -> None:
    gone, came, after = edit(FileRules(LISTED), (*LISTED[:5], NEW, *LISTED[7:]))
    assert (gone, came) == ([*LISTED[5:7]], [NEW])
    assert after.each_once is after.listed
    assert len(after) == 19


def test_a_rule_that_moves_stays() -> None:
    gone, came, after = edit(FileRules(LISTED), (*LISTED[:5], LISTED[6], LISTED[5], *LISTED[7:]))
    assert (gone, came) == ([], [])
    assert after.listed[5:7] == (LISTED[6], LISTED[5])


def test_a_rule_that_is_listed_several_times_goes_with_the_last() -> None:
    twice = (*LISTED[:5], LISTED[2], NEW, NEW, *LISTED[5:])
    gone, came, after = edit(FileRules(LISTED), twice)
    assert (gone, came, len(after)) == ([], [NEW], 21)
    assert after.each_once == (*LISTED[:5], NEW, *LISTED[5:])
    gone, came, after = edit(after, (*LISTED[:5], NEW, *LISTED[5:]))
    assert (gone, came, len(after)) == ([], [], 21)
    gone, came, after = edit(after, LISTED)
    assert (gone, came, after.each_once) == ([NEW], [], LISTED)


def test_of_three_two_may_go() -> None:
    gone, came, after = edit(FileRules(LISTED), (*LISTED, NEW, NEW, NEW))
    assert (came, len(after)) == ([NEW], 21)
    gone, came, after = edit(after, (*LISTED, NEW))
    assert (gone, came, after.each_once) == ([], [], (*LISTED, NEW))


def test_if_most_are_other_objects_there_is_no_edit() -> None:
    again = tuple(map(parse_rule, (f"allow n{number}.test - -" for number in range(20))))
    assert FileRules(LISTED).find_edit(again, lambda rule: rule in LISTED) is None


def test_a_rule_more_and_those_that_end() -> None:
    ending = parse_rule("allow until=2099-01-01 - - -")
    rules = FileRules(LISTED).with_one_more(ending)
    assert (rules.listed, len(rules), rules.ending) == ((*LISTED, ending), 21, {ending})
