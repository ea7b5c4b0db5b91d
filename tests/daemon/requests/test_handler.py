"""Requests of clients, answered by a real engine and driver."""

import asyncio
import errno
import logging
import os
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.core.engine.transcript import BANK, flow_of, inbound, no, whose, yes
from tests.daemon.loop.driver_place import Place, identity_of
from tests.daemon.requests.small_handler import ALICE, ROOT
from tests.daemon.rules import test_lists as lists
from tinysnitch.core.engine.events import PacketQueued
from tinysnitch.core.model.asking_mode import ASKING, OBSERVING
from tinysnitch.core.model.errors import NotPermitted, SnitchError
from tinysnitch.core.model.process import UNKNOWN, Attribution
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope
from tinysnitch.core.rules.list_entries import BadLine
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import format_rule, parse_rule
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.daemon.requests import handler as request_handler
from tinysnitch.daemon.requests import rule_list
from tinysnitch.daemon.requests.handler import list_entries
from tinysnitch.kernel.nfqueue.queue import NfVerdict
from tinysnitch.kernel.proc.procfs import read_stat
from tinysnitch.protocol.messages import Explain, KeepOpen, ListEntry, ListState, Mode, RuleGroup, RuleSource, SetMode


def with_place(folder: Path, use: Callable[[Place], None], rules: str = "") -> None:
    async def run() -> None:
        with closing(Place(folder, rules)) as place:
            use(place)

    asyncio.run(run())


def test_status_counts_what_is_there_and_what_was_lost(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        place.driver.feed(PacketQueued(1, flow_of(1), whose()))
        status = place.handler.status(ROOT)
        assert (status.mode, status.rules, status.prompts, status.rule_errors) == (Mode.BPF, 1, 1, ())
        assert status.queues == {"connections": 0, "names": 0}
        assert status.losses["packets dropped, queue full"] == 2
        assert status.tables

    with_place(tmp_path, use, "allow - 80 tcp\n")


def test_status_says_what_weakens_the_firewall(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        place.handler._identity, place.engine.mode = identity_of(place.rules_file.path, "no BTF"), OBSERVING
        status = place.handler.status(ROOT)
        assert (status.mode, status.mode_reason, status.is_learning) == (Mode.DEGRADED, "no BTF", True)
        assert status.learned_rules == "/var/lib/tinysnitch/learned.rules"
        assert status.not_enforcing == "tinysnitchd is still starting"

    with_place(tmp_path, use)


def ourselves() -> Attribution:
    status = read_stat(os.getpid())
    assert status
    return whose(pid=os.getpid(), started_ns=status.started_ns)


def test_rules_are_written_out_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 000 at once would take 0.4 s, while verdicts wait. One by one, the control server can pause."""
    written: list[Rule] = []

    def format_one(rule: Rule) -> str:
        written.append(rule)
        return format_rule(rule)

    def use(place: Place) -> None:
        monkeypatch.setattr(rule_list, "format_rule", format_one)
        entries = iter(place.handler.list_rules(ROOT))
        assert (len(written), next(entries).rule, len(written)) == (0, "allow - 80 tcp", 1)

    with_place(tmp_path, use, "allow - 80 tcp\ndeny - 25 tcp\n")


def test_rules_are_listed_with_where_they_are_from(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        for number, lifetime in enumerate((Lifetime.QUIT, Lifetime.DAY), 1):
            place.driver.feed(PacketQueued(number, flow_of(number, port=number), ourselves()))
            place.handler.answer(number, no(lifetime), ROOT)
        listed = [(entry.source, entry.pid) for entry in place.handler.list_rules(ROOT)]
        assert place.handler.status(ROOT).temporary_rules == 2
        assert listed == [(RuleSource.FILE, None), (RuleSource.QUIT, os.getpid()), (RuleSource.TEMPORARY, None)]

    with_place(tmp_path, use, "allow - 80 tcp\n")


def test_rules_are_added_and_removed(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        assert place.handler.add_rule("deny  - 23  tcp", ROOT) == "deny - 23 tcp"
        assert len(place.engine.rules) == 1
        assert place.handler.remove_rule("deny - 23 tcp", ROOT) == "deny - 23 tcp"
        assert len(place.engine.rules) == 0
        with pytest.raises(SnitchError, match="there is no rule") as missing:
            place.handler.remove_rule("deny - 23 tcp", ROOT)
        assert "in quotes as a whole" in missing.value.hint

    with_place(tmp_path, use)


def test_a_temporary_rule_is_removed_by_its_line(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        for number in (1, 2):
            place.driver.feed(PacketQueued(number, flow_of(number, port=number), whose()))
        line, other = (place.handler.answer(number, yes(Lifetime.DAY), ROOT) for number in (1, 2))
        place.handler.remove_rule(line, ROOT)
        assert list(map(format_rule, place.engine.rules)) == [other]

    with_place(tmp_path, use)


def test_a_temporary_rule_is_removed_also_while_the_file_is_gone(tmp_path: Path) -> None:
    """Unless the file had the rule too: that one stays in force."""

    def use(place: Place) -> None:
        for packet_id in (1, 2):
            place.driver.feed(PacketQueued(packet_id, flow_of(packet_id, port=packet_id), ourselves()))
        place.rules_file.path.unlink()
        line = place.handler.answer(1, yes(Lifetime.QUIT), ROOT)
        assert place.handler.remove_rule(line, ROOT) == line
        with pytest.raises(SnitchError, match="the file is gone"):
            place.handler.remove_rule(line, ROOT)
        place.rules_file.path.write_text("")
        line = place.handler.answer(2, yes(Lifetime.QUIT), ROOT)
        place.handler.add_rule(line, ROOT)
        place.rules_file.path.unlink()
        with pytest.raises(SnitchError, match="the file is gone"):
            place.handler.remove_rule(line, ROOT)
        assert list(map(format_rule, place.engine.rules)) == [line]

    with_place(tmp_path, use)


def test_a_change_of_a_file_that_does_not_load_is_no_success(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        place.rules_file.path.write_text("nonsense\ndeny - 23 tcp\n")
        for change in (place.handler.add_rule, place.handler.remove_rule):
            with pytest.raises(SnitchError, match=r"not load, and no rule of the file holds until it is mended: .*:1:"):
                change("deny - 23 tcp", ROOT)

    with_place(tmp_path, use)


def test_a_rule_that_is_only_in_force_is_not_said_to_be_missing(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        place.rules_file.path.write_text("nonsense\n")
        with pytest.raises(SnitchError, match=r"does not load, and the old rules hold: .*:1:"):
            place.handler.add_rule("deny - 23 tcp", ROOT)
        with pytest.raises(SnitchError, match="'allow - 80 tcp' is in force, but not in the file as it is now"):
            place.handler.remove_rule("allow - 80 tcp", ROOT)
        with pytest.raises(SnitchError, match="there is no rule 'allow - 81 tcp'"):
            place.handler.remove_rule("allow - 81 tcp", ROOT)

    with_place(tmp_path, use, "allow - 80 tcp\n")


def test_a_change_that_could_not_be_loaded_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    def use(place: Place) -> None:
        monkeypatch.setattr("tinysnitch.daemon.rules.facts.read_addresses", fail)
        with pytest.raises(SnitchError, match="could not be loaded"), caplog.at_level(logging.CRITICAL):
            place.handler.add_rule("deny - 23 tcp", ROOT)

    with_place(tmp_path, use)


def test_questions_are_listed_answered_and_closed(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        place.handler.attach(1, ROOT)
        place.driver.feed(PacketQueued(1, flow_of(1), whose()))
        assert [ask.prompt_id for ask in place.handler.list_asks(ROOT)] == [1]
        assert place.handler.answer(1, yes(), Right(1000, sees_all=True)) == "allow 10.0.0.80 443 tcp /usr/bin/curl ()"
        assert place.queue.sent == [(1, NfVerdict.REPEAT)]
        place.handler.detach(1)
        with pytest.raises(SnitchError, match="question 1 is not open: answered yes by uid 1000"):
            place.handler.answer(1, yes(), ROOT)
        with pytest.raises(SnitchError, match=r"question 9 is not open$"):
            place.handler.answer(9, yes(), ROOT)
        assert list(place.handler.read_history(2, ROOT))

    with_place(tmp_path, use)


def test_a_rule_by_hand_must_speak_of_what_waits(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/usr/bin/curl")

    def use(place: Place) -> None:
        who = whose(program=str(Path("/usr/bin/curl").resolve()))
        place.driver.feed(PacketQueued(1, flow_of(1), who))
        for line in ("allow 10.0.0.9 443 tcp", "allow until=2001-01-01T00:00:00Z - - -"):
            with pytest.raises(SnitchError, match="the rule is not about this connection"):
                place.handler.answer(1, line, ROOT)
        with pytest.raises(SnitchError) as refused:
            place.handler.answer(1, f"allow sha256={'0' * 64} - 443 tcp {link}", ROOT)
        assert "a file's sum is read once a rule asks for it" in refused.value.hint
        assert place.handler.answer(1, f"allow - 443 tcp {link}", ROOT) == f"allow - 443 tcp {link}"
        assert place.queue.sent == [(1, NfVerdict.REPEAT)]

    with_place(tmp_path, use)


@pytest.mark.parametrize("answer", ["ask - - -", Choice(verdict=Verdict.ASK)])
def test_ask_is_no_answer(tmp_path: Path, answer: Choice | str) -> None:
    def use(place: Place) -> None:
        place.driver.feed(PacketQueued(1, flow_of(1), whose()))
        with pytest.raises(SnitchError, match="`ask` is no answer"):
            place.handler.answer(1, answer, ROOT)
        assert len(place.handler.list_asks(ROOT)) == 1

    with_place(tmp_path, use)


def test_what_the_engine_cannot_answer_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def use(place: Place) -> None:
        place.driver.feed(PacketQueued(1, inbound(), whose()))
        monkeypatch.setattr(place.engine, "handle", lambda *_event: 1 // 0)
        with pytest.raises(SnitchError, match="could not be answered"):
            place.handler.answer(1, yes(), ROOT)
        assert place.failures.count == 1

    with_place(tmp_path, use)


# Who sees and decides for their own processes alone

BOB = Right(1001, sees_all=False)
WIDE = Choice(verdict=yes().verdict, lifetime=Lifetime.FOREVER, remote=RemoteScope.ANY, any_port=False, any_args=True)


def ask(place: Place) -> None:
    """Open questions: 1 about a process of uid 1000, 2 of uid 1001, 3 of an unknown user."""
    place.driver.feed(
        PacketQueued(1, flow_of(1), whose(7, uid=1000)),
        PacketQueued(2, flow_of(2, BANK), whose(8, uid=1001)),
        PacketQueued(3, flow_of(3, "10.0.0.82"), UNKNOWN),
    )


def asks_of(place: Place, right: Right) -> list[int]:
    return [shown.prompt_id for shown in place.handler.list_asks(right)]


def refusal(place: Place, prompt_id: int, right: Right) -> str:
    with pytest.raises(SnitchError) as caught:
        place.handler.answer(prompt_id, yes(), right)
    return f"{type(caught.value).__name__}: {caught.value} ({caught.value.hint})".replace(str(prompt_id), "N")


def test_each_sees_the_questions_of_their_own_processes(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        ask(place)
        assert [asks_of(place, right) for right in (ROOT, ALICE, BOB)] == [[1, 2, 3], [1], [2]]
        assert [place.handler.status(right).prompts for right in (ROOT, ALICE)] == [3, 1]

    with_place(tmp_path, use)


def test_a_question_of_another_is_like_one_that_never_was(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        ask(place)
        assert refusal(place, 2, ALICE) == refusal(place, 3, ALICE) == refusal(place, 99, ALICE)
        place.handler.answer(2, no(), ROOT)
        assert refusal(place, 2, ALICE) == refusal(place, 99, ALICE)
        assert "answered no by uid 0" in refusal(place, 2, BOB)
        assert asks_of(place, ROOT) == [1, 3]

    with_place(tmp_path, use)


def test_nobody_keeps_the_question_of_another_open(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        ask(place)
        assert place.handler.handle(KeepOpen(1), ALICE) == ()
        for prompt_id in (2, 3, 99):
            with pytest.raises(SnitchError, match=f"^question {prompt_id} is not open$"):
                place.handler.handle(KeepOpen(prompt_id), ALICE)

    with_place(tmp_path, use)


@pytest.mark.parametrize("lifetime", Lifetime)
def test_an_answer_is_a_rule_for_its_user_alone(tmp_path: Path, lifetime: Lifetime) -> None:
    def use(place: Place) -> None:
        ask(place)
        line = place.handler.answer(1, no(lifetime), ALICE)
        assert line.startswith("deny user=1000 ")
        assert asks_of(place, ROOT) == [2, 3]
        assert all("user=1000" in entry.rule for entry in place.handler.list_rules(ROOT))

    with_place(tmp_path, use)


def test_a_line_by_hand_must_name_its_user(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        ask(place)
        for line in ("allow - - -", "allow user=1001 - - -", "allow user=root - - -"):
            with pytest.raises(NotPermitted, match="must be for user 1000 alone"):
                place.handler.answer(1, line, ALICE)
        assert asks_of(place, ALICE) == [1]
        assert place.handler.answer(1, "allow user=1000 - 443 tcp", ALICE) == "allow user=1000 - 443 tcp"
        assert asks_of(place, ROOT) == [2, 3]

    with_place(tmp_path, use)


@pytest.mark.parametrize("choice", [yes(), msgspec.structs.replace(WIDE, lifetime=Lifetime.ONCE)])
def test_an_answer_undoes_no_denial_of_others(tmp_path: Path, choice: Choice) -> None:
    """`once` makes no rule, and neither does an answer about a program that no rule can name: both may be given."""

    def use(place: Place) -> None:
        ask(place)
        place.driver.feed(PacketQueued(4, flow_of(4), whose(9, uid=1000, is_host_file=False)))
        place.handler.answer(asks_of(place, ALICE)[-1], WIDE, ALICE)
        with pytest.raises(NotPermitted, match="would overrule a rule that is not yours: deny - 443 tcp"):
            place.handler.answer(1, WIDE, ALICE)
        assert asks_of(place, ALICE) == [1]
        place.handler.answer(1, choice, ALICE)
        assert asks_of(place, ALICE) == []

    with_place(tmp_path, use, "deny - 443 tcp\nask 10.0.0.80 443 tcp\n")


def test_each_makes_sees_and_removes_their_own_rules(tmp_path: Path) -> None:
    mine, theirs, everybodys = "deny user=1000 - 23 tcp", "deny user=1001 - 23 tcp", "deny @ads - -"

    def use(place: Place) -> None:
        assert place.handler.add_rule(mine, ALICE) == mine
        for line in (theirs, everybodys, "allow - - -"):
            for change in (place.handler.add_rule, place.handler.remove_rule):
                with pytest.raises(NotPermitted):
                    change(line, ALICE)
        assert place.read_rules() == f"{theirs}\n{everybodys}\n{mine}\n"
        assert [entry.rule for entry in place.handler.list_rules(ALICE)] == [mine]
        assert (place.handler.status(ALICE).rules, place.handler.status(ROOT).rules) == (1, 3)
        assert [len(place.handler.list_lists(right)) for right in (ALICE, ROOT)] == [0, 1]
        assert place.handler.remove_rule(mine, ALICE) == mine
        assert place.rules_file.path.read_text() == f"{theirs}\n{everybodys}\n"

    with_place(tmp_path, use, f"{theirs}\n{everybodys}\n")


def test_what_is_wrong_in_the_file_is_not_everybodys_to_read(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        place.rules_file.path.write_text("secret\n")
        with pytest.raises(SnitchError, match=r"no rule of the file holds until it is mended$"):
            place.handler.add_rule("deny user=1000 - 23 tcp", ALICE)
        assert place.handler.status(ALICE).rule_errors == ()
        (error,) = place.handler.status(ROOT).rule_errors
        assert " (hint: " in error

    with_place(tmp_path, use)


def test_the_log_tells_each_of_their_own_processes(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        ask(place)
        for prompt_id in (1, 2, 3):
            place.handler.answer(prompt_id, no(), ROOT)
        told = b"\n".join(place.handler.read_history(100, ALICE))
        assert told.count(b'"uid":1000') == 2  # the question and the decision
        assert told.count(b'"event":"answer"') == 1
        assert b'"uid":1001' not in told
        assert b'"unknown"' not in told
        assert len(list(place.handler.read_history(100, ROOT))) > 3 * len(list(place.handler.read_history(100, ALICE)))

    with_place(tmp_path, use)


def test_explain_is_for_who_asks(tmp_path: Path) -> None:
    question = Explain("/usr/bin/curl", "shop.test", 443, "tcp")

    def use(place: Place) -> None:
        told = [place.handler.explain(question, right).rule for right in (ALICE, ROOT)]
        assert told == ["allow user=1000 - 443 tcp", None]

    with_place(tmp_path, use, "allow user=1000 - 443 tcp\n")


RULES = [
    parse_rule(line) for line in ("deny @ads - -", "deny @ads 443 tcp", "deny @none - -", "allow @resolvers 53 udp")
]


def test_every_list_and_what_it_holds(tmp_path: Path) -> None:
    place = lists.Place(tmp_path)
    place.write("# source: https://a.test/\nads.test\n192.0.2.7\n198.51.100.0/24\n? ?\n")
    place.write("x.test\n", "unused")
    ads, none, unused = list_entries(place.loader, RULES)
    path = place.folder / "ads"
    assert ads == ListEntry(
        list="ads",
        path=str(path),
        rules=2,
        state=ListState.LOADED,
        names=1,
        addresses=1,
        networks=1,
        bad_lines=1,
        bad_examples=(BadLine(5, "? ?"),),
        updated=path.stat().st_mtime_ns / 1_000_000_000,
        source="https://a.test/",
    )
    assert none == ListEntry(list="none", path=str(place.folder / "none"), rules=1, state=ListState.MISSING)
    assert (unused.list, unused.rules, unused.state) == ("unused", 0, ListState.LOADED)


def test_a_list_on_its_way(tmp_path: Path) -> None:
    place = lists.Place(tmp_path)
    place.write(lists.LONG)
    (entry,) = list_entries(place.loader, ())
    assert (entry.state, entry.names, entry.updated) == (ListState.LOADING, 0, None)
    place.compiler.fail()
    (entry,) = list_entries(place.loader, ())
    assert (entry.state, entry.problem) == (ListState.MISSING, "no room")


# Groups of rules


def listed(place: Place, right: Right = ROOT) -> list[tuple[str, str | None, str]]:
    return [(entry.rule, entry.group, entry.note) for entry in place.handler.list_rules(right)]


def test_a_rule_goes_into_a_group_with_who_made_it_and_what_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_handler, "made_by", lambda who, _wall_s, note: f"by {who} 2026-12-02 {note}".strip())

    def use(place: Place) -> None:
        assert place.handler.add_rule("deny  - 23 tcp # the shop", ROOT, "work") == "deny - 23 tcp"
        place.handler.add_rule("deny - 25 tcp", ROOT)
        assert listed(place) == [
            ("allow - 80 tcp", None, "mine"),
            ("deny - 25 tcp", None, "by root 2026-12-02"),
            ("deny - 23 tcp", "work", "by root 2026-12-02 the shop"),
        ]
        group = RuleGroup("work", str(tmp_path / "groups" / "work.rules"), is_on=True, rules=1)
        assert place.handler.status(ROOT).groups == (group,)
        assert place.handler.status(ALICE).groups == ()
        assert place.handler.explain(Explain("unknown", "10.0.0.1", 23, "tcp"), ROOT).group == "work"
        assert place.handler.explain(Explain("unknown", "10.0.0.1", 23, "tcp"), ROOT).number == 3
        place.handler.remove_rule("deny - 23 tcp", ROOT)
        assert [group for _rule, group, _note in listed(place)] == [None, None]

    with_place(tmp_path, use, "allow - 80 tcp # mine\n")


def test_an_answer_is_written_with_who_gave_it(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        place.driver.feed(PacketQueued(1, flow_of(1), whose()))
        line = place.handler.answer(1, yes(), ROOT)
        written = place.rules_file.path.read_text()
        assert re.fullmatch(rf"{re.escape(line)}  # by root 20\d\d-\d\d-\d\d\n", written)
        assert [(rule, group) for rule, group, _note in listed(place)] == [(line, None)]

    with_place(tmp_path, use)


def test_a_rule_moves_between_groups_and_back(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        assert place.handler.move_rule("allow - 80 tcp", "work", ROOT) == "allow - 80 tcp"
        assert listed(place) == [("allow - 80 tcp", "work", "mine")]
        with pytest.raises(SnitchError, match=r"the rule is in .* already"):
            place.handler.move_rule("allow - 80 tcp", "work", ROOT)
        place.handler.move_rule("allow - 80 tcp", None, ROOT)
        assert listed(place) == [("allow - 80 tcp", None, "mine")]
        with pytest.raises(SnitchError, match="there is no rule"):
            place.handler.move_rule("allow - 81 tcp", "work", ROOT)

    with_place(tmp_path, use, "allow - 80 tcp # mine\n")


def test_a_group_is_switched_off_and_on(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        place.handler.add_rule("deny - 23 tcp", ROOT, "work")
        path = str(tmp_path / "groups" / "work.rules")
        assert place.handler.switch_group("work", ROOT, is_on=False) == RuleGroup("work", f"{path}.off", is_on=False)
        assert listed(place) == []
        assert place.handler.switch_group("work", ROOT, is_on=True) == RuleGroup("work", path, is_on=True, rules=1)
        assert [rule for rule, _group, _note in listed(place)] == ["deny - 23 tcp"]

    with_place(tmp_path, use)


def test_a_broken_file_keeps_nobody_from_changing_another(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        place.rules_file.path.write_text("nonsense\n")
        place.handler.add_rule("deny - 23 tcp", ROOT, "work")
        assert len(place.engine.rules) == 2
        with pytest.raises(SnitchError, match=r"it does not load, and the old rules hold: .*rules:1:1: not a verdict"):
            place.handler.add_rule("deny - 25 tcp", ROOT)
        (tmp_path / "groups" / "work.rules").write_text("nonsense\n")
        with pytest.raises(SnitchError, match=r"the old rules hold: .*work\.rules:1:1: not a verdict"):
            place.handler.add_rule("deny - 26 tcp", ROOT, "work")
        assert len(place.engine.rules) == 2

    with_place(tmp_path, use, "allow - 80 tcp\n")


def test_groups_are_for_those_who_see_all(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        for change in (
            lambda: place.handler.add_rule("deny user=1000 - 23 tcp", ALICE, "work"),
            lambda: place.handler.move_rule("deny user=1000 - 23 tcp", "work", ALICE),
            lambda: place.handler.switch_group("work", ALICE, is_on=False),
        ):
            with pytest.raises(NotPermitted, match="user 1000 may not"):
                change()
        place.handler.add_rule("deny user=1000 - 23 tcp", ROOT, "work")
        place.handler.add_rule("deny - 25 tcp", ROOT, "work")
        assert [(rule, group) for rule, group, _note in listed(place, ALICE)] == [("deny user=1000 - 23 tcp", "work")]

    with_place(tmp_path, use)


def test_a_rule_that_no_file_says_yet_is_listed_too(tmp_path: Path) -> None:
    """An answer while the file has errors, say."""

    def use(place: Place) -> None:
        place.handler.add_rule("deny - 23 tcp", ROOT, "work")
        place.rules_file.path.write_text("nonsense\n")
        place.reloader.reload_rules()
        place.driver.feed(PacketQueued(1, flow_of(1), whose()))
        line = place.handler.answer(1, yes(), ROOT)
        assert [(rule, group) for rule, group, _note in listed(place)] == [
            ("allow - 80 tcp", None),
            (line, None),
            ("deny - 23 tcp", "work"),
        ]

    with_place(tmp_path, use, "allow - 80 tcp\n")


# Modes


def test_who_may_answer_everything_may_pause_and_nobody_else(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        place.driver.feed(PacketQueued(1, flow_of(1), whose()))
        with pytest.raises(NotPermitted, match="user 1000 may not decide for everybody") as caught:
            place.handler.set_mode(SetMode(Verdict.ALLOW, 600.0), ALICE)
        assert caught.value.hint
        assert place.engine.mode == ASKING
        told = place.handler.set_mode(SetMode(Verdict.ALLOW, 600.0), ROOT)
        assert (told.mode, told.was, told.decided) == (Verdict.ALLOW, Verdict.ASK, 1)
        assert place.queue.sent[-1] == (1, NfVerdict.REPEAT)
        status = place.handler.status(ROOT)
        assert (status.asking, status.asking_until) == (Verdict.ALLOW, told.until)
        assert status.asking_left_s
        assert 590 < status.asking_left_s <= 600
        assert told.learned_rules == status.learned_rules == "/var/lib/tinysnitch/learned.rules"
        assert (
            (tmp_path / "learned.rules")
            .read_text()
            .splitlines()[1]
            .startswith("allow 10.0.0.80 443 tcp /usr/bin/curl ")
        )
        told = place.handler.set_mode(SetMode(Verdict.ASK), ROOT)
        assert (told.mode, told.was, told.left_s) == (Verdict.ASK, Verdict.ALLOW, None)
        assert told.learned_rules, "there is something to look through"
        before = place.engine.rules.generation
        assert place.handler.set_mode(SetMode(Verdict.ASK), ROOT).learned_rules == ""
        assert place.engine.rules.generation == before, "nothing has changed"

    with_place(tmp_path, use)


def test_a_daemon_that_observes_needs_no_pause(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        place.engine.mode = OBSERVING
        with pytest.raises(SnitchError, match="observes") as caught:
            place.handler.set_mode(SetMode(Verdict.ALLOW, 600.0), ROOT)
        assert "--learn" in caught.value.hint

    with_place(tmp_path, use)


def test_nothing_is_let_pass_before_the_rules_are_known_that_deny(tmp_path: Path) -> None:
    def use(place: Place) -> None:
        with pytest.raises(SnitchError, match=r"what it denies would pass: .*rules:1:1") as caught:
            place.handler.set_mode(SetMode(Verdict.ALLOW, 600.0), ROOT)
        assert caught.value.hint
        assert place.handler.set_mode(SetMode(Verdict.DENY), ROOT).mode is Verdict.DENY
        place.rules_file.path.write_text("deny - 23 tcp\n")
        place.reloader.reload_rules()
        place.rules_file.path.write_text("dney - 23 tcp\n")
        place.reloader.reload_rules()
        assert place.handler.set_mode(SetMode(Verdict.ALLOW), ROOT).mode is Verdict.ALLOW, "the old rules hold"
        (tmp_path / "groups").mkdir()
        (tmp_path / "groups" / "work.rules").write_text("dney - 25 tcp\n")
        place.reloader.reload_rules()
        with pytest.raises(SnitchError, match=r"the group work does not load, and what it denies would pass: .*:1:1"):
            place.handler.set_mode(SetMode(Verdict.ALLOW), ROOT)

    with_place(tmp_path, use, "dney - 23 tcp\n")
