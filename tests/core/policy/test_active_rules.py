"""Which rules are in force, and which generation that is."""

import time
import timeit
from functools import partial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.engine.transcript import WALL_S, flow_of, process_of, whose
from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.active_rules import LOOK_AGAIN_S, MAX_LOOKED_AT, ActiveRules
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import parse_rule

NOW = Instant(100.0, WALL_S)
CONNECTION = Connection(flow=flow_of(), attribution=whose())
ALLOW = parse_rule("allow - - - /usr/bin/curl")
DENY = parse_rule("deny - - - /usr/bin/curl")


def until(seconds: int, rule: Rule = ALLOW) -> Rule:
    return msgspec.structs.replace(rule, until_s=int(WALL_S) + seconds)


def bound(exec_id: int, rule: Rule = ALLOW) -> Rule:
    return msgspec.structs.replace(rule, exec_id=exec_id)


def active(*rules: Rule) -> ActiveRules:
    made = ActiveRules(Facts(), generation=5)
    for rule in rules:
        made.add(rule, NOW)
    return made


def verdict(rules: ActiveRules) -> Verdict:
    return rules.decide(CONNECTION, NOW).verdict


def test_the_first_load_counts_even_of_no_rules() -> None:
    rules = ActiveRules(Facts(), generation=5)
    assert rules.replace_file_rules([])
    assert not rules.replace_file_rules([])
    assert rules.generation == 6


def test_a_changed_file_replaces_its_rules_and_keeps_the_temporary_ones() -> None:
    rules = active(until(60, DENY))
    assert rules.replace_file_rules([ALLOW])
    assert not rules.replace_file_rules([ALLOW, ALLOW])
    assert rules.replace_file_rules([])
    assert list(rules) == [until(60, DENY)]
    assert verdict(rules) is Verdict.DENY


def test_rules_that_memory_did_not_suffice_for_are_taken_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = active()
    rules.replace_file_rules([ALLOW])
    with monkeypatch.context() as starved:

        def fail(*_: object) -> None:
            raise MemoryError

        starved.setattr("tinysnitch.core.policy.active_rules.Ruleset", fail)
        with pytest.raises(MemoryError):
            rules.replace_file_rules([DENY])
    assert (rules.from_file(), verdict(rules)) == ((ALLOW,), Verdict.ALLOW)
    assert rules.replace_file_rules([DENY])
    assert verdict(rules) is Verdict.DENY


def test_the_order_of_the_file_is_kept_but_is_no_change() -> None:
    rules = ActiveRules(Facts())
    rules.replace_file_rules([ALLOW, DENY])
    assert not rules.replace_file_rules([DENY, ALLOW])
    assert rules.from_file() == (DENY, ALLOW)


def test_each_rule_that_is_added_is_a_new_generation() -> None:
    rules = active(ALLOW)
    assert (rules.generation, rules.from_file(), verdict(rules)) == (6, (ALLOW,), Verdict.ALLOW)
    rules.add(ALLOW, NOW)
    assert (rules.generation, len(rules)) == (7, 1)


@given(st.lists(st.lists(st.sampled_from([ALLOW, DENY, until(60), until(60, DENY)]), max_size=4), max_size=4))
def test_an_edit_leaves_what_a_first_load_would(files: list[list[Rule]]) -> None:
    """Rules may stand in the file several times, and be temporary as well."""
    temporary = (until(60), bound(7, DENY))
    rules = active(*temporary)
    rules.replace_file_rules([])
    for file in files:
        before, generation = set(rules.from_file()), rules.generation
        is_changed = rules.replace_file_rules(file)
        assert rules.from_file() == tuple(dict.fromkeys(file))
        assert tuple(rules) == (*rules.from_file(), *temporary)
        assert len(rules) - 2 == rules.count_from_file() == len(set(file))
        assert is_changed == (before != set(file)) == (rules.generation > generation)
        explanation = rules.explain(CONNECTION, NOW)
        matching = {explanation.decision.rule, *(rule for rule, _why in explanation.losers)}
        assert matching == {*file, *temporary}
    rules.remove_temporary(temporary)
    assert list(rules) == list(rules.from_file())


def test_a_temporary_rule_that_ran_out_goes() -> None:
    rules = active(until(60), until(30, DENY), bound(7))
    assert rules.next_deadline(NOW) == 130.0
    assert not rules.drop_expired(NOW)
    assert rules.drop_expired(Instant(130.0, WALL_S + 30))
    assert rules.temporary() == (until(60), bound(7))
    assert rules.generation == 8  # its verdicts expired with it


SET_BACK = 7200.0


def test_a_wall_clock_that_is_set_back_prolongs_no_temporary_rule() -> None:
    """This happens if the hardware clock runs in local time, and NTP corrects it after the answer."""
    rules = active(until(180))
    late = Instant(270.0, WALL_S + 170 - SET_BACK)
    assert rules.next_deadline(late) == 280.0
    decision = rules.decide(CONNECTION, late)
    assert decision.until_s == WALL_S + 180 - SET_BACK  # what the kernel remembers ends at 280 too
    assert not rules.drop_expired(late)
    assert rules.drop_expired(Instant(280.0, WALL_S + 180 - SET_BACK))
    assert rules.temporary() == ()


def test_a_wall_clock_that_is_set_forward_ends_it_as_its_line_says() -> None:
    rules = active(until(180))
    late = Instant(110.0, WALL_S + 100)
    assert rules.next_deadline(late) == 190.0
    assert rules.decide(CONNECTION, Instant(170.0, WALL_S + 160)).until_s == WALL_S + 180


def test_who_answers_again_gets_the_whole_time_again() -> None:
    rules = active(until(180))
    later = Instant(200.0, WALL_S)  # by chance the line is the same
    rules.add(until(180), later)
    assert (rules.next_deadline(later), len(rules)) == (380.0, 1)


def test_a_rule_of_the_file_ends_by_the_wall_clock_alone() -> None:
    rules = active(until(90, DENY))
    rules.replace_file_rules([until(60)])
    late = Instant(150.0, WALL_S + 50 - SET_BACK)
    rules.remove_temporary([until(90, DENY)])
    assert rules.next_deadline(late) is None
    assert rules.decide(CONNECTION, late).until_s == late.wall_s + LOOK_AGAIN_S
    assert rules.decide(CONNECTION, Instant(150.0, WALL_S + 50)).until_s == WALL_S + 60


@pytest.mark.parametrize("is_of_file", [True, False])
def test_a_clock_that_is_set_forward_ends_what_rests_on_a_rule_that_ends_soon(*, is_of_file: bool) -> None:
    rules = active()
    rules.replace_file_rules([DENY, *([until(86400)] if is_of_file else [])])
    if not is_of_file:
        rules.add(until(86400), NOW)
    soon = Instant(NOW.boot_s + LOOK_AGAIN_S, NOW.wall_s + LOOK_AGAIN_S)
    assert rules.decide(CONNECTION, NOW).until_s == soon.wall_s
    assert rules.decide(CONNECTION, msgspec.structs.replace(soon, wall_s=WALL_S + 86400)).verdict is Verdict.DENY


def test_a_clock_that_is_set_back_has_a_rule_of_the_file_hold_again_soon() -> None:
    rules = active()
    rules.replace_file_rules([until(60, DENY), ALLOW])
    late = Instant(200.0, WALL_S + 100)
    decision = rules.decide(CONNECTION, late)
    assert (decision.verdict, decision.until_s) == (Verdict.ALLOW, late.wall_s + LOOK_AGAIN_S)
    assert rules.decide(CONNECTION, Instant(260.0, WALL_S + 50)).verdict is Verdict.DENY


def test_what_a_decision_rests_on() -> None:
    rules = active(parse_rule("allow example.com - -"))
    columns = rules.decide(CONNECTION, NOW).columns
    assert (columns.remote, columns.name, columns.port) == (True, True, False)


def test_the_deadline_is_that_of_the_first_that_is_left() -> None:
    rules = active(until(30), until(60, DENY))
    assert rules.next_deadline(NOW) == 130.0
    rules.remove_temporary((until(30),))
    assert rules.next_deadline(NOW) == 160.0
    rules.add(until(10), NOW)
    assert rules.next_deadline(NOW) == 110.0


def test_of_several_the_first_one_ends_whatever_the_clock_does() -> None:
    rules = active(until(50), until(30, DENY))
    assert rules.decide(CONNECTION, NOW).until_s == WALL_S + 30
    assert rules.next_deadline(Instant(110.0, WALL_S + 20)) == 120.0
    assert rules.next_deadline(Instant(110.0, WALL_S - SET_BACK)) == 130.0


def test_the_deadline_costs_the_same_of_many_rules() -> None:
    """The deadline is computed after each batch of packets."""
    rules = active(*(until(30 + number) for number in range(5000)))
    assert rules.next_deadline(NOW) == 130.0
    later = Instant(110.0, WALL_S + 15.0)
    assert rules.next_deadline(later) == 125.0
    taken_s = timeit.timeit(lambda: rules.next_deadline(later), timer=time.thread_time, number=100)
    assert taken_s < 0.02  # 0.2 ms; 0.1 s where all are looked at


def test_without_an_end_there_is_no_deadline() -> None:
    assert active(ALLOW, bound(7)).next_deadline(NOW) is None


def test_temporary_rules_can_be_taken_away_and_those_of_the_file_not() -> None:
    rules = active(ALLOW, until(60, DENY))
    assert not rules.remove_temporary([ALLOW, until(99)])
    assert rules.generation == 7
    assert rules.remove_temporary([until(60, DENY)])
    assert (rules.generation, list(rules)) == (8, [ALLOW])


def test_a_temporary_rule_that_the_file_has_too_stays_in_force() -> None:
    rules = active(until(60))
    rules.replace_file_rules([until(60)])
    rules.remove_temporary([until(60)])
    assert verdict(rules) is Verdict.ALLOW


def test_rules_of_a_process() -> None:
    rules, process = active(until(60), bound(8)), process_of(7).key
    rules.add(bound(7), NOW, process)
    assert (rules.bound_to(process), rules.find_pid(bound(7))) == ([bound(7)], process.pid)
    assert (rules.bound_to(process_of(8).key), rules.find_pid(until(60))) == ([], None)
    assert rules.remove_temporary([bound(7)])
    assert (rules.bound_to(process), rules.find_pid(bound(7))) == ([], None)


def test_a_rule_that_is_answered_for_a_second_process_ends_with_that_one() -> None:
    rules, first, second = active(), process_of(7).key, process_of(7, pid=4100).key
    for process in (first, second):
        rules.add(bound(7), NOW, process)
    assert (rules.bound_to(first), rules.bound_to(second)) == ([], [bound(7)])


def test_other_facts_are_another_generation() -> None:
    rules = active(parse_rule("allow user=alice - - -"))
    assert verdict(rules) is Verdict.ASK
    rules.set_facts(Facts(users={"alice": 1000}))
    assert (rules.generation, verdict(rules)) == (7, Verdict.ALLOW)


@pytest.mark.parametrize(("line", "is_match"), [("ask - 443 tcp", True), ("allow - 80 tcp", False)])
def test_a_rule_can_be_tried(line: str, is_match: bool) -> None:
    assert active().would_match(parse_rule(line), CONNECTION, NOW) is is_match


def test_the_rules_about_a_program_are_found_until_they_are_too_many() -> None:
    of_curl = [parse_rule(f"allow a{number}.test - - /usr/bin/curl") for number in range(MAX_LOOKED_AT - 1)]
    rules = active(*of_curl, parse_rule("allow - 80 tcp"), parse_rule("deny a.test - -"), until(60, DENY))
    assert rules.find_about(CONNECTION, NOW) == [*of_curl, until(60, DENY)]
    assert rules.find_about(CONNECTION, NOW, any_program=True) is None
    assert rules.find_about(CONNECTION, Instant(NOW.boot_s, WALL_S + 60)) == of_curl
    rules.remove_temporary([until(60, DENY)])
    found = rules.find_about(CONNECTION, NOW, any_program=True)
    assert set(found or ()) == {*of_curl, parse_rule("allow - 80 tcp")}


def test_explain_and_sums() -> None:
    rules = active(ALLOW, DENY)
    explanation = rules.explain(CONNECTION, NOW)
    assert (explanation.decision.rule, [rule for rule, _why in explanation.losers]) == (DENY, [ALLOW])
    assert not rules.needs_sha256("/usr/bin/curl")
    rules.add(parse_rule(f"allow sha256={'a' * 64} - - - /usr/bin/curl"), NOW)
    assert rules.needs_sha256("/usr/bin/curl")


def test_many_rules_that_match_hold_up_nobody() -> None:
    rules = active(*(parse_rule(f"allow user=1000 - {1 + number % 400}-{1000 + number} tcp") for number in range(1000)))
    for judge in (rules.decide, rules.explain):
        taken_s = timeit.timeit(partial(judge, CONNECTION, NOW), timer=time.thread_time, number=1)
        assert taken_s < 0.1  # 0.01 s; 0.3 where each is compared with each
    assert len(rules.explain(CONNECTION, NOW).losers) == 999
