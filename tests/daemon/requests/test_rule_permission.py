"""Which rules users may add and remove themselves, and how many at once."""

import asyncio
import os
import pwd
from contextlib import closing
from pathlib import Path
from threading import Semaphore

import pytest

from tests.core.engine.transcript import flow_of, whose, yes
from tests.daemon.loop.driver_place import Place
from tests.daemon.requests.small_handler import ALICE, ROOT
from tests.lab.patience import WAIT_S
from tinysnitch.core.engine.events import PacketQueued
from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.active_rules import ActiveRules
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.policy.user_rules import MAX_LENGTH, MAX_OWN_RULES
from tinysnitch.core.rules.rule_line import parse_rule
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.daemon.requests import rule_permission as change_budget
from tinysnitch.daemon.requests.rule_permission import (
    BURST,
    EACH_S,
    ChangeBudget,
    check_new_rule,
    check_owner,
    may_see_rule,
)
from tinysnitch.daemon.rules import users as user_ids
from tinysnitch.kernel.system.clock import read_instant

FACTS = Facts(users={"alice": 1000, "bob": 1001}, turnable_links=frozenset({"/home/alice/l"}))
ENV = os.path.realpath("/usr/bin/env")


def rules_of(*lines: str) -> ActiveRules:
    rules = ActiveRules(FACTS)
    rules.replace_file_rules(map(parse_rule, lines))
    return rules


@pytest.mark.parametrize("line", ["allow - - -", "allow user=bob - - -", "allow user=0 - - -"])
def test_a_rule_of_others_is_neither_seen_nor_made_nor_taken_away(line: str) -> None:
    rule, rules = parse_rule(line), rules_of()
    assert not may_see_rule(rule, ALICE, rules)
    for check in (check_owner, check_new_rule):
        with pytest.raises(NotPermitted, match="must be for user 1000 alone") as caught:
            check(rule, ALICE, rules)
        assert "allow user=1000 ..." in caught.value.hint
        check(rule, ROOT, rules)
    assert may_see_rule(rule, ROOT, rules)


@pytest.mark.parametrize("line", ["allow user=1000 a.test 443 tcp", "deny user=alice - - - /usr/bin/curl"])
def test_an_own_rule_is(line: str) -> None:
    """Also a rule that overrules a denial of the user's own."""
    rule, rules = parse_rule(line), rules_of("deny - 25 tcp", "deny user=alice - - -")
    assert may_see_rule(rule, ALICE, rules)
    check_owner(rule, ALICE, rules)
    check_new_rule(rule, ALICE, rules)


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ("@ads - -", "can't have a list"),
        ("- - - /opt/**", "can't have a pattern"),
        ("- - - /home/alice/l", "over a link that others than root can change"),
        ("mail.test 25 tcp", "would overrule a rule that is not yours: deny - 25 tcp"),
        (f"- - - /usr/bin/curl {'x' * MAX_LENGTH}", "longer than 16384"),
    ],
)
def test_what_no_own_rule_may_be(columns: str, problem: str) -> None:
    rule, rules = parse_rule(f"allow user=1000 {columns}"), rules_of("deny - 25 tcp")
    with pytest.raises(SnitchError, match=problem) as caught:
        check_new_rule(rule, ALICE, rules)
    assert caught.value.hint
    check_new_rule(rule, ROOT, rules)


def test_the_longest_own_rule() -> None:
    arguments = MAX_LENGTH - len("allow user=1000 - - - /usr/bin/curl ")
    check_new_rule(parse_rule(f"allow user=1000 - - - /usr/bin/curl {'x' * arguments}"), ALICE, rules_of())
    with pytest.raises(SnitchError, match="longer than"):
        check_new_rule(parse_rule(f"allow user=1000 - - - /usr/bin/curl {'x' * (arguments + 1)}"), ALICE, rules_of())


def test_own_rules_are_bounded() -> None:
    rules = rules_of(*(f"deny user=alice - {port} tcp" for port in range(1, MAX_OWN_RULES + 1)))
    rule = parse_rule("deny user=alice - - udp")
    with pytest.raises(SnitchError, match="1000 rules already"):
        check_new_rule(rule, ALICE, rules)
    check_new_rule(parse_rule("deny user=bob - - udp"), Right(1001, sees_all=False), rules)


def test_an_own_rule_may_name_its_user_also_the_first_one(tmp_path: Path) -> None:
    nobody, line = Right(pwd.getpwnam("nobody").pw_uid, sees_all=False), "deny user=nobody - 23 tcp"

    async def use() -> None:
        with closing(Place(tmp_path)) as place:
            with pytest.raises(SnitchError, match="there is no rule"):
                place.handler.remove_rule(line, nobody)
            place.reloader.refresh_facts()  # no rule speaks of the name
            assert place.handler.add_rule(line, nobody) == line

    asyncio.run(use())


def test_a_name_that_takes_long_to_look_up_is_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that tries again gets the rule: the name is kept although no rule has it, however slow the look-up."""
    may_answer, line = Semaphore(0), "deny user=alice - 23 tcp"
    monkeypatch.setattr(user_ids, "find_uid", lambda _name: 1000 if may_answer.acquire(timeout=60) else None)
    monkeypatch.setattr(user_ids, "MOMENT_S", 0.0)

    async def use() -> None:
        with closing(Place(tmp_path)) as place:
            for change in (place.handler.add_rule, place.handler.remove_rule):
                with pytest.raises(SnitchError, match="still being looked up") as told:
                    change(line, ALICE)
                assert (told.value.exit_code, "try again" in told.value.hint) == (1, True)
            may_answer.release(100)  # also for look-ups that other tests of this process left under way
            async with asyncio.timeout(WAIT_S):
                while place.loader.is_awaited(parse_rule(line)):  # noqa: ASYNC110 - nothing there signals an event
                    await asyncio.sleep(0.001)
            place.reloader.refresh_facts()
            assert place.handler.add_rule(line, ALICE) == line
            assert "alice" not in place.read_log()

    asyncio.run(use())


def test_the_log_speaks_of_no_list_of_a_rule_that_is_refused(tmp_path: Path) -> None:
    async def use() -> None:
        with closing(Place(tmp_path)) as place:
            for change in (place.handler.add_rule, place.handler.remove_rule):
                with pytest.raises(SnitchError):
                    change("deny user=1000 @ads - -", ALICE)
            assert "ads" not in place.read_log()
            place.handler.add_rule("deny user=1000 @ads - -", ROOT)
            assert "list ads is not there" in place.read_log()

    asyncio.run(use())


def decided_for_env(place: Place) -> Verdict:
    now = read_instant()
    connection = place.engine.connection_of(flow_of(), whose(program=ENV), "", now)
    return place.engine.rules.decide(connection, now).verdict


@pytest.mark.privileged
def test_a_link_turned_after_its_rule_was_made_undoes_no_denial(tmp_path: Path) -> None:
    """The path is a plain file when the rule is made, so that the rule is permitted."""
    tool = tmp_path / "tool"
    tool.touch()
    os.chown(tool, 1000, 1000)

    async def use() -> None:
        with closing(Place(tmp_path, f"deny 10.0.0.80 - - {ENV}\n")) as place:
            place.handler.add_rule(f"allow user=1000 10.0.0.80 443 tcp {tool}", ALICE)
            tool.unlink()
            tool.symlink_to(ENV)
            os.lchown(tool, 1000, 1000)
            place.reloader.refresh_facts()
            assert place.engine.rules.facts.links[str(tool)] == ENV
            assert decided_for_env(place) is Verdict.DENY
            with pytest.raises(NotPermitted, match="over a link"):
                place.handler.add_rule(f"allow user=1000 10.0.0.80 443 tcp {tool} -i", ALICE)

    asyncio.run(use())


def spend(budget: ChangeBudget, uid: int, now_s: float) -> int:
    """Make changes until one is refused; how many were permitted."""
    for count in range(10 * BURST):
        try:
            budget.spend(uid, now_s)
        except SnitchError:
            return count
    raise AssertionError("there is no end")


def test_many_at_once_and_then_one_at_a_time() -> None:
    budget = ChangeBudget()
    assert spend(budget, 1000, 50.0) == BURST
    assert spend(budget, 1000, 50.0 + EACH_S) == 1
    assert spend(budget, 1000, 50.0 + 4 * EACH_S) == 3


def test_each_user_has_their_own() -> None:
    budget = ChangeBudget()
    assert spend(budget, 1000, 50.0) == BURST
    assert spend(budget, 1001, 50.0) == BURST


def test_what_was_not_used_is_not_saved_up() -> None:
    budget = ChangeBudget()
    budget.spend(1000, 0.0)
    assert spend(budget, 1000, 1e6) == BURST


def test_who_must_wait_is_told() -> None:
    budget = ChangeBudget()
    spend(budget, 1000, 50.0)
    with pytest.raises(SnitchError, match="user 1000 changes too much") as caught:
        budget.spend(1000, 50.0)
    assert "0.5 s" in caught.value.hint


def test_nobody_keeps_the_daemon_busy_with_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root has no limit."""
    monkeypatch.setattr(change_budget, "EACH_S", 60.0)  # else one more may be free while the hundred are made
    others = "deny - 23 tcp"

    async def run() -> None:
        with closing(Place(tmp_path)) as place:
            place.driver.feed(PacketQueued(1, flow_of(), whose(uid=1000)))
            for _change in range(BURST):
                with pytest.raises(NotPermitted):
                    place.handler.remove_rule(others, ALICE)
            for change in (place.handler.add_rule, place.handler.remove_rule):
                for line in ("deny user=1000 - 23 tcp", "no rule"):  # to read one of 60 KB takes long, too
                    with pytest.raises(SnitchError, match="changes too much"):
                        change(line, ALICE)
            with pytest.raises(SnitchError, match="changes too much"):
                place.handler.answer(1, yes(), ALICE)
            place.handler.add_rule("deny user=1001 - 23 tcp", Right(1001, sees_all=False))
            for _change in range(BURST + 1):
                with pytest.raises(SnitchError, match="there is no rule"):
                    place.handler.remove_rule(others, ROOT)
                with pytest.raises(SnitchError, match="not about this connection"):
                    place.handler.answer(1, others, ROOT)
            place.handler.answer(1, yes(), ROOT)

    asyncio.run(run())
