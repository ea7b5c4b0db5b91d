"""What people take back through a real engine and driver: rules, temporary ones, verdicts; and who may."""

import asyncio
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.core.engine.transcript import flow_of, no, whose, yes
from tests.daemon.loop.driver_place import Place
from tests.daemon.requests.small_handler import ALICE, ROOT
from tests.daemon.requests.test_handler import ourselves
from tinysnitch.core.engine.events import PacketQueued
from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.core.prompts.choice import Choice, Lifetime
from tinysnitch.core.rules.rule_line import format_rule
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.protocol.messages import (
    ChangedLine,
    ChangeEntry,
    GiveAnswer,
    ListChanges,
    ListProposals,
    ListRules,
    MoveRule,
    ProposalEntry,
    RemoveRule,
    RuleEntry,
    TakeBack,
    TakeProposal,
    Undone,
)

SMTP, HTTP = "deny - 25 tcp", "allow - 80 tcp"


def with_place(folder: Path, use: Callable[[Place], None], rules: str = "") -> None:
    async def run() -> None:
        with closing(Place(folder, rules)) as place:
            use(place)

    asyncio.run(run())


def ask(place: Place, number: int, uid: int = 1000) -> None:
    place.driver.feed(PacketQueued(number, flow_of(number, port=number), whose(uid=uid)))


def answer(place: Place, number: int, choice: Choice, right: Right = ROOT, together: int = 0) -> str:
    (written,) = place.handler.handle(GiveAnswer(number, choice, together=together), right)
    return written.rule  # type: ignore[union-attr]


def take_back(place: Place, number: int | None = None, right: Right = ROOT) -> Undone:
    (undone,) = place.handler.handle(TakeBack(number), right)
    assert isinstance(undone, Undone)
    return undone


def listed(place: Place, right: Right = ROOT) -> list[ChangeEntry]:
    return [entry for entry in place.handler.handle(ListChanges(), right) if isinstance(entry, ChangeEntry)]


def lines(*changed: ChangedLine) -> list[str]:
    return [each.rule for each in changed]


def in_force(place: Place) -> list[str]:
    return list(map(format_rule, place.engine.rules))


def read_rules(place: Place) -> str:
    """The main file, without the comments of who made a rule."""
    return re.sub("  # by .*", "", place.rules_file.path.read_text())


def refusal(place: Place, number: int | None = None, right: Right = ROOT) -> SnitchError:
    before, text = in_force(place), read_rules(place)
    with pytest.raises(SnitchError) as refused:
        take_back(place, number, right)
    assert (in_force(place), read_rules(place)) == (before, text)
    return refused.value


@pytest.mark.parametrize("lifetime", [Lifetime.FOREVER, Lifetime.DAY, Lifetime.ONCE])
def test_an_answer_is_taken_back_and_the_next_connection_is_asked_about(tmp_path: Path, lifetime: Lifetime) -> None:
    def use(place: Place) -> None:
        ask(place, 1)
        line = answer(place, 1, no(lifetime))
        place.handler.add_rule(SMTP, ROOT)
        generation = place.engine.rules.generation
        undone = take_back(place, 1)
        assert lines(*undone.removed, *undone.forgotten) == [line]
        assert place.engine.rules.generation > generation, "what the kernel remembers is stale"
        assert in_force(place) == ["allow - 80 tcp", SMTP]
        assert read_rules(place) == f"allow - 80 tcp\n{SMTP}\n"
        ask(place, 1)
        assert len(place.handler.list_asks(ROOT)) == 1
        assert "was taken back already" in str(refusal(place, 1))

    with_place(tmp_path, use, "allow - 80 tcp\n")


def test_the_answers_of_one_key_are_taken_back_whole(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        for number in range(1, 10):
            ask(place, number)
            answer(place, number, no(Lifetime.FOREVER), together=77)
        (entry,) = listed(place)
        assert (entry.act.value, len(entry.written), entry.uid) == ("no", 9, 0)
        assert len(take_back(place).removed) == 9
        assert in_force(place) == []
        assert "nothing of yours to take back" in str(refusal(place))
        (entry,) = listed(place)
        assert entry.taken_back_by == 0

    with_place(tmp_path, use)


def test_a_rule_until_its_process_ends_is_taken_back_alone(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        for number in (1, 2):
            place.driver.feed(PacketQueued(number, flow_of(number, port=number), ourselves()))
            answer(place, number, yes(Lifetime.QUIT))
        take_back(place, 1)
        assert [rule.ports for rule in place.engine.rules] == [((2, 2),)]

    with_place(tmp_path, use)


def test_a_removal_is_taken_back_too(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        ask(place, 1)
        line = answer(place, 1, yes(Lifetime.DAY))
        for each in (SMTP, line):
            place.handler.remove_rule(each, ROOT)
        assert in_force(place) == []
        assert lines(*take_back(place).put_back) == [line]
        assert place.engine.rules.temporary() != ()
        assert line in place.temporary_rules.path.read_text()
        assert lines(*take_back(place).put_back) == [SMTP]
        assert lines(*take_back(place).removed) == [line], "the answer itself is the next one"
        assert in_force(place) == [SMTP]

    with_place(tmp_path, use, f"{SMTP}\n")


def test_what_was_edited_since_is_left_alone(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        ask(place, 1)
        line = answer(place, 1, no(Lifetime.FOREVER))
        place.rules_file.path.write_text(f"{line} --and more\n")
        for _ in range(2):  # also before the edit was read
            assert f"change 1 is left as it is: it is not there any more: {line}" in str(refusal(place))
            place.reloader.reload_rules()

    with_place(tmp_path, use)


def test_equal_rules_of_two_people_stay_apart_and_members_see_their_own_alone(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        ask(place, 1, uid=ALICE.uid)
        line = answer(place, 1, no(Lifetime.FOREVER), ALICE)
        place.handler.add_rule(SMTP, ROOT)
        place.handler.add_rule(line, ROOT)
        assert [entry.number for entry in listed(place, ALICE)] == [1, 3]
        assert "no change 2" in str(refusal(place, 2, ALICE))
        undone = take_back(place, right=ALICE)
        assert undone.change.number == 1, "her own last one"
        assert [(kept.rule, kept.why) for kept in undone.kept] == [(line, "uid 0 wrote it too, in change 3")]
        assert line in in_force(place)
        assert "nothing of yours to take back" in str(refusal(place, right=ALICE))
        assert lines(*take_back(place).removed) == [line]

    with_place(tmp_path, use)


def test_a_member_may_not_put_back_what_would_overrule_others(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        line = f"allow user={ALICE.uid} a.test 443 tcp /usr/bin/curl"
        place.handler.add_rule(line, ALICE)
        place.handler.remove_rule(line, ALICE)
        place.handler.add_rule("deny - - - /usr/bin/curl", ROOT)
        assert isinstance(refusal(place, right=ALICE), NotPermitted)
        assert lines(*take_back(place, 2).put_back) == [line]

    with_place(tmp_path, use)


def test_the_last_changes_are_known_to_the_next_daemon(tmp_path: Path) -> None:
    def make(place: Place) -> None:
        place.handler.add_rule(SMTP, ROOT)

    def use(place: Place) -> None:
        assert lines(*take_back(place).removed) == [SMTP]

    with_place(tmp_path, make)
    with_place(tmp_path, use, f"{SMTP}\n")


def test_what_was_removed_from_a_group_or_moved_comes_back_there_with_its_comment(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        group, main = tmp_path / "groups" / "work.rules", place.rules_file.path
        place.handler.add_rule(f"{SMTP} # the shop", ROOT, "work")
        text = group.read_text()
        place.handler.remove_rule(SMTP, ROOT)
        assert group.read_text() == ""
        assert [(each.rule, each.group) for each in take_back(place).put_back] == [(SMTP, "work")]
        assert group.read_text() == text
        place.handler.move_rule(HTTP, "work", ROOT)
        last = listed(place)[-1]
        assert (last.act.value, last.written[0].group, last.removed[0].group) == ("move", "work", None)
        take_back(place)
        assert (main.read_text(), group.read_text()) == (f"{HTTP}  # mine\n", text)
        assert in_force(place) == [HTTP, SMTP]
        place.handler.switch_group("work", ROOT, is_on=False)
        assert "change 1 is left as it is" in str(refusal(place, 1))

    with_place(tmp_path, use, f"{HTTP}  # mine\n")


def test_a_proposal_of_tidy_is_one_change(tmp_path: Path) -> None:
    olds = [f"allow {name}.shop.test 443 tcp /usr/bin/curl" for name in "ab"]

    def use(place: Place) -> None:
        (entry,) = [each for each in place.handler.handle(ListProposals(), ROOT) if isinstance(each, ProposalEntry)]
        list(place.handler.handle(TakeProposal(entry.kind, entry.removed, entry.added), ROOT))
        (change,) = listed(place)
        assert (change.act.value, lines(*change.written), lines(*change.removed)) == ("tidy", [entry.added], olds)
        take_back(place)
        assert place.rules_file.path.read_text() == "".join(f"{old}\n" for old in olds)
        assert in_force(place) == olds

    with_place(tmp_path, use, "\n".join(olds) + "\n")


def test_a_number_is_of_one_line_of_one_group(tmp_path: Path) -> None:
    def numbers(place: Place) -> list[tuple[int | None, str | None]]:
        entries = place.handler.handle(ListRules(), ROOT)
        return [(entry.number, entry.group) for entry in entries if isinstance(entry, RuleEntry)]

    def use(place: Place) -> None:
        place.handler.add_rule(SMTP, ROOT, "work")
        assert numbers(place) == [(1, None), (2, "work")]
        place.handler.handle(RemoveRule(number=1), ROOT)
        assert numbers(place) == [(2, "work")]
        place.handler.handle(MoveRule(number=2), ROOT)
        assert numbers(place) == [(1, None)], "the same line as before"
        with pytest.raises(SnitchError, match="there is no rule 2 any more"):
            place.handler.handle(MoveRule(number=2), ROOT)

    with_place(tmp_path, use, f"{SMTP}\n")


def test_a_stale_number_of_a_rule_never_means_another_rule(tmp_path: Path) -> None:
    def numbers(place: Place, right: Right = ROOT) -> dict[int | None, str]:
        entries = place.handler.handle(ListRules(), right)
        return {entry.number: entry.rule for entry in entries if isinstance(entry, RuleEntry)}

    def use(place: Place) -> None:
        own = f"allow user={ALICE.uid} b.test - -"
        assert numbers(place) == {1: "allow - 80 tcp", 2: SMTP, 3: own}
        place.rules_file.path.write_text(f"{own}\nallow - 81 tcp\n{SMTP}\n")  # somebody else's edit
        place.reloader.reload_rules()
        assert numbers(place, ALICE) == {3: own}
        for number, right, problem in (
            (1, ROOT, "there is no rule 1 any more"),
            (2, ALICE, "there is no rule 2 any more"),  # which she may not see
            (9, ROOT, "there is no rule 9"),
        ):
            with pytest.raises(SnitchError, match=f"^{problem}$"):
                place.handler.handle(RemoveRule(number=number), right)
        place.handler.handle(RemoveRule(number=2), ROOT)
        assert numbers(place) == {3: own, 4: "allow - 81 tcp"}

    with_place(tmp_path, use, f"allow - 80 tcp\n{SMTP}\nallow user=1000 b.test - -\n")
