"""What `tinysnitch status` says, as lines and as a screen."""

import msgspec
import pytest

from tinysnitch import __version__
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.protocol.messages import Mode, RuleGroup, Status
from tinysnitch.view.escape import cell_width
from tinysnitch.view.span import Weight, text_of
from tinysnitch.view.tables.status_view import MAX_ROWS, find_broken, lay_out_status, present_status, tell_status


def status_of(**fields: object) -> Status:
    values = {
        "pid": 1,
        "mode": Mode.BPF,
        "netns": 7,
        "cgroup": "/sys/fs/cgroup",
        "rules_file": "/etc/tinysnitch.rules",
        "uptime_s": 3661.0,
        "rules": 1,
        "prompts": 0,
        "clients": 1,
        "hits": 5,
        "misses": 6,
        "losses": {"history rows": 0},
    }
    return Status(**(values | fields))  # type: ignore[arg-type]


def test_that_nothing_was_lost_is_one_line() -> None:
    status = status_of()
    told = dict(present_status(msgspec.structs.replace(status, losses={"history rows": 0, "packets": 0})))
    assert told["lost"] == "nothing (all 2 counters are 0)"
    some = list(present_status(msgspec.structs.replace(status, losses={"a": 0, "b": 2, "c": 3})))
    assert [line for line in some if line[0] in ("LOST", "")] == [("LOST", "2 b"), ("", "3 c")]


def test_what_is_decided_anew_is_no_loss() -> None:
    status = status_of()
    told = dict(present_status(msgspec.structs.replace(status, losses={}, evicted={"flows": 2, "verdicts": 0})))
    assert (told["evicted"], told["lost"]) == ("flows 2", "nothing (all 0 counters are 0)")


def test_many_counts_take_several_rows() -> None:
    status = status_of()
    tables = {name: 1 for name in ("flows", "verdicts", "listening ports", "conversations", "processes", "sockets")}
    lines = list(present_status(msgspec.structs.replace(status, tables=tables)))
    at = [label for label, _text in lines].index("in use")
    assert lines[at : at + 2] == [
        ("in use", "flows 1, verdicts 1, listening ports 1, conversations 1,"),
        ("", "processes 1, sockets 1"),
    ]


def test_with_a_broken_file_it_is_told_what_holds() -> None:
    status = status_of()
    broken = msgspec.structs.replace(status, rule_errors=("/etc/r:1:1: no verdict",))
    told = [dict(present_status(msgspec.structs.replace(broken, rules=rules)))["RULES NOT LOADED"] for rules in (1, 0)]
    assert told == [
        "the rules file has errors, the old rules hold",
        "the rules file has errors, no rule of the file holds until it is mended",
    ]


def test_the_degraded_mode_and_bad_rules_are_not_overlooked() -> None:
    status = status_of()
    told = dict(
        present_status(
            msgspec.structs.replace(
                status,
                mode=Mode.DEGRADED,
                mode_reason="no BTF",
                is_learning=True,
                rule_errors=("/etc/r:1:1: no verdict",),
            )
        )
    )
    assert told["mode"].startswith("DEGRADED")
    assert told["because"] == "no BTF"
    assert "RULES NOT LOADED" in told
    assert "allowed" in told["observing"]


def test_where_it_is_that_observing_learned_is_told() -> None:
    status = status_of()
    observing = msgspec.structs.replace(status, is_learning=True, learned_rules="/var/lib/x/learned.rules")
    lines = list(present_status(observing))
    assert ("", "as rules in /var/lib/x/learned.rules") in lines
    older = list(present_status(msgspec.structs.replace(observing, learned_rules="")))  # of an older daemon
    assert not any("as rules" in text for _label, text in older)
    assert not any("as rules" in text for _label, text in present_status(status))


def test_that_nobody_is_asked_is_told_with_what_is_left_of_it() -> None:
    status = status_of()
    paused = msgspec.structs.replace(
        status, asking=Verdict.ALLOW, asking_left_s=598.2, learned_rules="/x/learned.rules"
    )
    lines = list(present_status(paused))
    place = [label for label, _text in lines].index("NOT ASKING")
    told = " ".join(text for _label, text in lines[place : place + 2])
    assert told == "paused, 9 min 59 s left: what no rule covers passes unasked (`tinysnitch resume` ends it)"
    assert lines[place + 2] == ("", "what passes is listed in /x/learned.rules")
    assert dict(lines)["prompts attached"] == "none"
    assert "NOT ASKING" not in dict(present_status(status))


def test_who_does_not_enforce_does_not_say_so() -> None:
    status = status_of()
    why = f"netfilter rules taken away by others, not put back: {'x' * 30} (Operation not permitted)"
    lines = list(present_status(msgspec.structs.replace(status, not_enforcing=why)))
    assert lines[0] == ("mode", "NOT enforcing: new connections may pass unasked")
    assert (lines[1][0], " ".join(text for _label, text in lines[1:3])) == ("because", why)


def test_who_could_not_start_again_says_so() -> None:
    status = status_of()
    why = f"the Python is gone: {'x' * 30}; `make install` sets it up"
    lines = list(present_status(msgspec.structs.replace(status, cannot_restart=why)))
    assert (lines[1][0], " ".join(text for _label, text in lines[1:3])) == ("CANNOT RESTART", why)


def test_who_cannot_judge_all_that_comes_says_so() -> None:
    status = status_of()
    crowded = dict(present_status(msgspec.structs.replace(status, is_crowded=True)))
    assert crowded["CROWDED"] == "more packets come than can be judged, and the rest is dropped"
    assert "CROWDED" not in dict(present_status(status))


def test_what_is_wrong_with_the_rules_comes_with_a_hint() -> None:
    status = status_of()
    lines = list(present_status(msgspec.structs.replace(status, rule_errors=("/etc/r:1:1: no verdict",))))
    place = [label for label, _text in lines].index("RULES NOT LOADED")
    assert lines[place + 1 : place + 3] == [
        ("", "/etc/r:1:1: no verdict"),
        ("", "hint: `tinysnitch rules check /etc/tinysnitch.rules` says how to correct it"),
    ]


@pytest.mark.parametrize(
    ("clients", "is_learning", "told"),
    [
        (0, False, "none: what no rule covers is denied when its time is over"),
        (0, True, "none"),
        (2, False, "2"),
        (2, True, "2"),
    ],
)
def test_what_nobody_at_the_prompt_means(clients: int, is_learning: bool, told: str) -> None:
    status = status_of()
    now = msgspec.structs.replace(status, prompt_clients=clients, is_learning=is_learning)
    assert dict(present_status(now))["prompts attached"] == told


def test_who_may_not_see_all_rules_is_told_no_count_of_all() -> None:
    status = status_of()
    assert dict(present_status(status, 0))["rules"] == "1 in /etc/tinysnitch.rules, 0 temporary"
    assert dict(present_status(status, 1000))["rules"] == "1 that you may see in /etc/tinysnitch.rules, 0 temporary"


def test_groups_are_told_and_which_file_is_broken() -> None:
    groups = (RuleGroup("games", "/g.off", is_on=False), RuleGroup("work", "/etc/office.rules", is_on=True, rules=2))
    status = msgspec.structs.replace(status_of(), groups=groups, rules=5)
    rows = list(present_status(status))
    assert ("rules", "5 in /etc/tinysnitch.rules and groups, 0 temporary") in rows
    assert ("in groups", "games off, work 2") in rows
    broken = msgspec.structs.replace(status, rule_errors=("/etc/office.rules:1:1: x",))
    assert find_broken(broken) == ("the group work", "/etc/office.rules", 2)
    assert ("", "hint: `tinysnitch rules check /etc/office.rules` says how to correct it") in list(
        present_status(broken)
    )
    other = msgspec.structs.replace(status, rule_errors=("/etc/tinysnitch.rules:1:1: x",))
    assert find_broken(other) == ("the rules file", "/etc/tinysnitch.rules", 3)


def screen(status: Status, width: int = 80, *, is_whole: bool = False) -> list[str]:
    return [text_of(row) for row in lay_out_status(status, 0, width, is_whole=is_whole)]


def test_that_all_is_well_is_the_first_that_is_said() -> None:
    assert screen(status_of(prompt_clients=2)) == [
        "all is well: enforcing, programs identified by the kernel (BPF)",
        "",
        "questions open      0",
        "prompts attached    2",
        "rules               1 in /etc/tinysnitch.rules, 0 temporary",
        "packets judged      5 in the kernel (hits), 6 here (misses)",
        "lost                nothing (all 1 counters are 0)",
        f"daemon              version {__version__}, pid 1, up 1 h 1 min",
        "",
        "`tinysnitch status --all` has the counters, too",
    ]
    whole = screen(status_of(), is_whole=True)
    assert whole[-1] == "cgroup              /sys/fs/cgroup"
    assert "in use              nothing" in whole


def test_what_is_wrong_comes_before_what_is_to_be_looked_at_and_the_rest() -> None:
    status = status_of(prompts=2, losses={"packets": 3}, rule_errors=("/etc/tinysnitch.rules:1:1: no verdict",))
    rows = lay_out_status(status, 0, 80, is_whole=False)
    labels = [text_of(row)[:20].strip() for row in rows][:8]
    assert labels == ["enforcing, and 3 thi", "", "RULES NOT LOADED", "", "", "", "questions open", "LOST"]
    assert text_of(rows[6]).endswith("  2: `tinysnitch asks` shows what is asked")
    assert [rows[at][0].weight for at in (0, 2, 6, 7)] == [Weight.WARNING, Weight.BAD, Weight.WARNING, Weight.WARNING]


@pytest.mark.parametrize(
    ("fields", "head"),
    [
        ({"not_enforcing": "taken away"}, "NOT enforcing: new connections may pass unasked"),
        ({"mode": Mode.DEGRADED, "mode_reason": "no BTF"}, "DEGRADED: enforcing without BPF"),
        ({"asking": Verdict.ALLOW, "asking_left_s": 60.0, "learned_rules": "/x"}, "enforcing, and one thing to look"),
    ],
)
def test_the_first_row_never_says_that_all_is_well_when_it_is_not(fields: dict[str, object], head: str) -> None:
    first = lay_out_status(status_of(**fields), 0, 80, is_whole=False)[0]
    assert text_of(first).startswith(head)
    assert first[0].weight in (Weight.BAD, Weight.WARNING)


HOSTILE = "/home/\x1b[2J\u202e界/" + "x" * 300
WORST = status_of(
    not_enforcing=f"{HOSTILE} {'gone ' * 100}",
    mode=Mode.DEGRADED,
    mode_reason=HOSTILE,
    cannot_restart="a reason " * 60,
    is_crowded=True,
    is_learning=True,
    learned_rules=HOSTILE,
    prompts=9,
    rule_errors=tuple(f"{HOSTILE}:{number}:1: not a verdict" for number in range(100)),
    setting_errors=tuple(f"{HOSTILE}:{number}: no such key" for number in range(100)),
    settings_later=("timeout",) * 50,
    losses={f"things {number}": number for number in range(80)},
    groups=tuple(RuleGroup(HOSTILE, HOSTILE, is_on=True) for _ in range(50)),
)


def test_whatever_is_wrong_fits_a_screen() -> None:
    for status in (WORST, msgspec.structs.replace(WORST, not_enforcing="", mode=Mode.BPF, mode_reason="")):
        rows = screen(status)
        assert len(rows) <= MAX_ROWS
        assert max(map(cell_width, rows)) <= 80
        assert all(row.isprintable() for row in [*rows, *screen(status, is_whole=True)])
        assert rows[-1] == "`tinysnitch status --all` has the counters, too"
        assert any(row.endswith(" more with --all") for row in rows)
    labels = {fact.label for fact in tell_status(WORST)}
    told = " ".join(screen(WORST, is_whole=True))
    assert {label for label in labels - {"mode"} if label not in told} == set()
