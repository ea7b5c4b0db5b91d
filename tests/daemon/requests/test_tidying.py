"""What would make rules fewer, and what passed without a rule, answered by a real engine and driver."""

import json
import time
from pathlib import Path

import pytest

from tests.daemon.loop.driver_place import Place
from tests.daemon.requests.small_handler import ALICE, ROOT
from tests.daemon.requests.test_handler import with_place
from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.core.rules.learned_line import LEARN
from tinysnitch.core.rules.rule_line import format_rule
from tinysnitch.core.tidy.proposal import Kind
from tinysnitch.protocol.messages import (
    LearnedEntry,
    ListLearned,
    ListProposals,
    ProposalEntry,
    RuleWritten,
    TakeLearned,
    TakeProposal,
    Working,
)

A, B = (f"allow {name}.shop.test 443 tcp /usr/bin/curl" for name in "ab")
JOINED = "allow *.shop.test 443 tcp /usr/bin/curl"
MINE = [f"allow user=1000 {name}.mine.test 443 tcp /usr/bin/curl" for name in "ab"]


def proposals(place: Place, right: object = ROOT) -> list[ProposalEntry]:
    replies = list(place.handler.handle(ListProposals(), right))  # type: ignore[arg-type]
    assert any(isinstance(reply, Working) for reply in replies)
    return [reply for reply in replies if isinstance(reply, ProposalEntry)]


def in_force(place: Place) -> list[str]:
    return list(map(format_rule, place.engine.rules))


def test_a_proposal_is_taken_as_it_was_listed(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        (entry,) = proposals(place)
        assert (entry.kind, entry.removed, entry.added) == (Kind.DOMAIN, (A, B), JOINED)
        assert entry.effect.startswith("also lets pass every other name of shop.test")
        replies = list(place.handler.handle(TakeProposal(entry.kind, entry.removed, entry.added), ROOT))
        assert replies == [Working(), Working(), RuleWritten(JOINED)]
        assert in_force(place) == [JOINED]
        assert proposals(place) == []

    with_place(tmp_path, use, f"{A}\n{B}\n")


def test_nothing_is_taken_once_the_rules_have_changed(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        (entry,) = proposals(place)
        take = TakeProposal(entry.kind, entry.removed, entry.added)
        place.handler.add_rule("deny *.test - -", ROOT)
        with pytest.raises(SnitchError, match="the rules have changed since"):
            place.handler.handle(take, ROOT)
        place.handler.remove_rule("deny *.test - -", ROOT)
        place.handler.remove_rule(A, ROOT)
        for wrong in (take, TakeProposal(Kind.EXPIRED, ())):
            with pytest.raises(SnitchError, match="the rules have changed since"):
                place.handler.handle(wrong, ROOT)
        assert in_force(place) == [B]

    with_place(tmp_path, use, f"{A}\n{B}\n")


def test_what_was_not_used_for_a_quarter_is_proposed(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        (entry,) = proposals(place)
        assert (entry.kind, entry.removed, entry.added, entry.why) == (Kind.UNUSED, (A,), None, "unused for 91 days")

    now_s = time.time()
    uses = [[A, 3, now_s - 91.5 * 86400, 0, 0], [B, 3, now_s, 0, 0]]
    (tmp_path / "uses").write_text(json.dumps({"boot_id": "of long ago", "rules": uses}))
    with_place(tmp_path, use, f"{A}\n{B}\n")


def test_a_user_tidies_their_own_rules_alone(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        (entry,) = proposals(place, ALICE)
        assert entry.removed == tuple(MINE)
        with pytest.raises(NotPermitted):
            place.handler.handle(TakeProposal(Kind.DOMAIN, (A, B), JOINED), ALICE)
        list(place.handler.handle(TakeProposal(entry.kind, entry.removed, entry.added), ALICE))
        assert in_force(place) == [A, B, "allow user=1000 *.mine.test 443 tcp /usr/bin/curl"]

    with_place(tmp_path, use, "\n".join([A, B, *MINE, ""]))


def test_what_was_taken_of_the_learned_is_a_rule_and_off_the_list(tmp_path: Path) -> None:
    def learned(place: Place) -> list[LearnedEntry]:
        return list(place.handler.handle(ListLearned(), ROOT))  # type: ignore[arg-type]

    def use(place: Place) -> None:
        for line in (A, A, B, "allow ads.test 443 tcp /usr/bin/curl"):
            place.learned_rules.add(line, LEARN, 1_700_000_000.0)
        joined, denied = learned(place)
        assert [(line.rule, line.since, line.count) for line in joined.lines] == [
            (A, "learn since 2023-11-14T22:13:20Z", 2),
            (B, "learn since 2023-11-14T22:13:20Z", 1),
        ]
        assert (joined.added, joined.wider[0].rule) == (JOINED, "allow - 443 tcp /usr/bin/curl")
        assert (denied.kind, denied.added) == (Kind.DENIED, None)
        with pytest.raises(SnitchError, match="denies what this one would allow"):
            place.handler.handle(TakeLearned((A,), "allow ads.test 443 tcp /usr/bin/curl"), ROOT)
        place.handler.handle(TakeLearned((A, B), JOINED), ROOT)
        place.handler.handle(TakeLearned(tuple(line.rule for line in denied.lines)), ROOT)
        assert learned(place) == []
        assert in_force(place) == ["deny ads.test - -", JOINED]
        with pytest.raises(NotPermitted):
            place.handler.handle(ListLearned(), ALICE)

    with_place(tmp_path, use, "deny ads.test - -\n")
