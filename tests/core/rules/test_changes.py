"""What taking a change back does, and what it leaves alone."""

from collections.abc import Collection

from msgspec.structs import replace

from tinysnitch.core.rules.changes import (
    GONE,
    MAX_KEPT,
    MAX_SIZE,
    OF_A_PROCESS,
    OVER,
    REPLACED,
    THERE_AGAIN,
    THERE_BEFORE,
    Act,
    Change,
    ChangedRule,
    Changes,
    Deed,
    Place,
    Plan,
    place_of,
)
from tinysnitch.core.rules.rule_line import parse_rule

ALICE, BOB = 1000, 1001
SHOP = ChangedRule("deny shop.test 443 tcp /usr/bin/curl")
BANK = ChangedRule("deny bank.test 443 tcp /usr/bin/curl")
AT_10 = ChangedRule("allow until=1970-01-01T00:00:10Z a.example - -", Place.TEMPORARY)
BOUND = ChangedRule("allow a.example - - /bin/x", Place.QUIT, exec_id=7)
OLD_SHOP = replace(SHOP, is_new=False)


class Told:
    """Changes, and the rules that are there."""

    def __init__(self, *there: ChangedRule) -> None:
        self.changes = Changes()
        self.there = set(there)

    def note(self, act: Act, *rules: ChangedRule, uid: int = ALICE, together: int = 0) -> int:
        gone = {replace(rule, is_removed=False) for rule in rules if rule.is_removed}
        self.changes.note(Deed(act, together), rules, uid=uid, wall_s=5.0)
        self.there.update(replace(rule, is_new=True) for rule in rules if not rule.is_removed)
        self.there -= gone
        return self.changes.next_number - 1

    def plan(self, number: int, wall_s: float = 6.0) -> Plan:
        def is_there(rule: ChangedRule) -> bool:
            return replace(rule, is_new=True, is_removed=False) in self.there

        return self.changes.plan(self.get(number), is_there, wall_s)

    def get(self, number: int) -> Change:
        change = self.changes.find(number)
        assert change
        return change

    def take_back(self, number: int, uid: int = ALICE) -> Plan:
        plan = self.plan(number)
        self.there.difference_update(plan.removed)
        self.there.update(replace(rule, is_removed=False) for rule in plan.put_back)
        self.changes.take_back(self.get(number), uid, 6.0)
        return plan


def gone(*rules: ChangedRule) -> tuple[ChangedRule, ...]:
    return tuple(replace(rule, is_removed=True) for rule in rules)


def lines(rules: Collection[ChangedRule]) -> set[str]:
    return {rule.line for rule in rules}


def test_an_answer_is_taken_back_with_its_rule_and_nothing_else() -> None:
    told = Told(BANK)
    first, second = told.note(Act.NO, SHOP), told.note(Act.ADD, AT_10)
    assert told.take_back(first) == Plan(removed=(SHOP,))
    assert told.there == {BANK, AT_10}
    assert told.get(first).taken_back
    last = told.changes.find_last(ALICE)
    assert last is not None
    assert last.number == second
    assert told.changes.find_last(BOB) is None
    assert told.changes.find(99) is None


def test_answers_of_one_key_are_one_change_also_if_others_answer_between_them() -> None:
    told = Told()
    told.note(Act.NO, SHOP, together=5)
    told.note(Act.YES, AT_10, uid=BOB)
    told.note(Act.NO, BANK, together=5)
    told.note(Act.NO, OLD_SHOP, together=5)  # a question that the same rule answers
    told.note(Act.NO, BOUND, uid=BOB, together=5)  # whoever claims to have pressed our key
    assert [lines(change.rules) for change in told.changes] == [lines((SHOP, BANK)), lines((AT_10,)), lines((BOUND,))]
    assert told.plan(1) == Plan(removed=(SHOP, BANK))
    large = ChangedRule(f"deny - - - /bin/{'x' * MAX_SIZE}")
    assert told.note(Act.NO, large, together=5) == 4


def test_an_answer_for_once_has_no_rule_and_one_for_a_process_only_its_own() -> None:
    other = replace(BOUND, exec_id=8)
    told = Told(other)
    once = ChangedRule(SHOP.line, Place.ONCE)
    assert told.plan(told.note(Act.NO, once)) == Plan(forgotten=(once,))
    assert told.take_back(told.note(Act.YES, BOUND)).removed == (BOUND,)
    assert other in told.there


def test_what_was_edited_or_removed_or_is_over_is_left_as_it_is() -> None:
    told = Told()
    first, second = told.note(Act.NO, SHOP), told.note(Act.YES, AT_10)
    told.there.clear()
    assert told.plan(first) == Plan(kept=((SHOP.line, GONE),))
    assert told.plan(second, 10.0) == Plan(kept=((AT_10.line, OVER),))
    assert not told.plan(first).does_something


def test_a_rule_that_two_wrote_is_whose_change_still_stands() -> None:
    """Alice answered, and Bob wrote the same rule: hers stays for him, and is his from then on."""
    told = Told()
    hers, his = told.note(Act.NO, SHOP), told.note(Act.ADD, OLD_SHOP, uid=BOB)
    plan = told.take_back(hers)
    assert plan == Plan(shared=((SHOP.line, "uid 1001 wrote it too, in change 2"),))
    assert plan.does_something
    assert told.take_back(his, BOB).removed == (SHOP,)
    assert told.there == set()


def test_the_same_rule_outlives_the_second_of_two_too() -> None:
    told = Told()
    hers, his = told.note(Act.NO, SHOP), told.note(Act.ADD, OLD_SHOP, uid=BOB)
    assert told.take_back(his, BOB).shared == ((SHOP.line, "uid 1000 wrote it too, in change 1"),)
    assert told.take_back(hers).removed == (SHOP,)


def test_to_write_what_was_there_before_is_no_change() -> None:
    told = Told(SHOP)
    told.note(Act.ADD, OLD_SHOP)
    assert list(told.changes) == []
    number = told.note(Act.NO, BANK, together=5)
    told.note(Act.NO, OLD_SHOP, together=5)
    assert told.plan(number) == Plan(removed=(BANK,), kept=((SHOP.line, THERE_BEFORE),))
    told.note(Act.ADD, replace(BANK, is_new=False))
    assert len(list(told.changes)) == 1, "nor what the same person wrote before"


def test_a_change_that_was_none_is_not_the_last_one() -> None:
    """Bob wrote what Alice had written, and hers is not known any more."""
    mine = Change(number=1, wall_s=5.0, uid=BOB, act=Act.ADD, rules=(BANK,))
    none = Change(number=2, wall_s=5.0, uid=BOB, act=Act.ADD, rules=(OLD_SHOP,))
    assert Changes([mine, none], 3).find_last(BOB) == mine
    hers = Change(number=0, wall_s=5.0, uid=ALICE, act=Act.NO, rules=(SHOP,))
    assert Changes([hers, mine, none], 3).find_last(BOB) == none


def test_what_was_removed_is_put_back_where_it_was() -> None:
    told = Told(SHOP, AT_10, BOUND)
    number = told.note(Act.REMOVE, *gone(SHOP, AT_10, BOUND))
    assert told.plan(number) == Plan(put_back=gone(SHOP, AT_10), kept=((BOUND.line, OF_A_PROCESS),))
    assert told.plan(number, 10.0).kept == ((AT_10.line, OVER), (BOUND.line, OF_A_PROCESS))
    told.there.add(SHOP)
    assert (SHOP.line, THERE_AGAIN) in told.plan(number).kept


def test_a_rule_that_was_removed_and_written_again_is_not_the_first_ones() -> None:
    told = Told()
    first = told.note(Act.NO, SHOP)
    removal = told.note(Act.REMOVE, *gone(SHOP), uid=BOB)
    again = told.note(Act.ADD, SHOP, uid=BOB)
    assert told.plan(first).kept == ((SHOP.line, GONE),)
    assert told.take_back(again, BOB).removed == (SHOP,)
    assert told.take_back(removal, BOB).put_back == gone(SHOP)
    assert told.take_back(first).removed == (SHOP,)


def test_a_proposal_of_tidy_is_taken_back_whole_and_left_whole_once_its_rule_was_edited() -> None:
    both = ChangedRule("deny *.test 443 tcp /usr/bin/curl")
    told = Told(SHOP, BANK)
    number = told.note(Act.TIDY, both, together=9)
    for each in gone(SHOP, BANK):  # removed one by one
        assert told.note(Act.TIDY, each, together=9) == number
    assert told.there == {both}
    assert told.plan(number) == Plan(removed=(both,), put_back=gone(SHOP, BANK))
    told.there = {ChangedRule("deny *.test - tcp /usr/bin/curl")}
    plan = told.plan(number)
    assert plan.kept == ((both.line, GONE), (SHOP.line, REPLACED), (BANK.line, REPLACED))
    assert not plan.does_something


def test_a_rule_that_was_moved_is_not_the_answers_any_more_until_it_is_back() -> None:
    told = Told()
    first = told.note(Act.NO, SHOP)
    moved = replace(SHOP, group="work")
    number = told.note(Act.MOVE, moved, *gone(SHOP))
    assert told.plan(first).kept == ((SHOP.line, GONE),)
    assert told.take_back(number) == Plan(removed=(moved,), put_back=gone(SHOP))
    assert told.take_back(first).removed == (SHOP,)


def test_the_last_ones_are_kept_and_no_number_is_given_twice() -> None:
    told = Told()
    for _ in range(MAX_KEPT + 3):
        told.note(Act.NO, SHOP)
    assert [change.number for change in told.changes] == list(range(4, MAX_KEPT + 4))
    assert Changes(told.changes, told.changes.next_number).next_number == MAX_KEPT + 4


def test_an_answer_is_kept_where_its_rule_says() -> None:
    rules = [parse_rule(AT_10.line), parse_rule(SHOP.line), replace(parse_rule(BOUND.line), exec_id=7)]
    assert list(map(place_of, rules)) == [Place.TEMPORARY, Place.FILE, Place.QUIT]
