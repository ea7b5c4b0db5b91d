import json

import msgspec
import pytest

from tests.cli.running import Command
from tests.daemon.requests.small_handler import ROOT, RunningServer
from tinysnitch import __version__
from tinysnitch.cli.status import find_broken, present_status
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.protocol.messages import Mode, RuleGroup

WHOLE = """\
mode                enforcing, programs identified by the kernel (BPF)
questions open      1
prompts attached    none: what no rule covers is denied when its time is over
rules               1 in /etc/tinysnitch.rules, 0 temporary
packets judged      5 in the kernel (hits), 6 here (misses)
waiting             nothing
in use              nothing
LOST                4 history rows
daemon              version VERSION, pid 1, up 1 h 1 min
network namespace   7
cgroup              /sys/fs/cgroup
"""


def test_what_a_person_reads_and_no_word_of_what_is_not_so(running: RunningServer, command: Command) -> None:
    assert command("status").out == WHOLE.replace("VERSION", __version__)
    assert max(map(len, WHOLE.splitlines())) < 80


def test_that_nothing_was_lost_is_one_line(running: RunningServer) -> None:
    status = running.call(running.handler.status, ROOT)
    told = dict(present_status(msgspec.structs.replace(status, losses={"history rows": 0, "packets": 0})))
    assert told["lost"] == "nothing (all 2 counters are 0)"
    some = list(present_status(msgspec.structs.replace(status, losses={"a": 0, "b": 2, "c": 3})))
    assert [line for line in some if line[0] in ("LOST", "")] == [("LOST", "2 b"), ("", "3 c")]


def test_what_is_decided_anew_is_no_loss(running: RunningServer) -> None:
    status = running.call(running.handler.status, ROOT)
    told = dict(present_status(msgspec.structs.replace(status, losses={}, evicted={"flows": 2, "verdicts": 0})))
    assert (told["evicted"], told["lost"]) == ("flows 2", "nothing (all 0 counters are 0)")


def test_many_counts_take_several_rows(running: RunningServer) -> None:
    status = running.call(running.handler.status, ROOT)
    tables = {name: 1 for name in ("flows", "verdicts", "listening ports", "conversations", "processes", "sockets")}
    lines = list(present_status(msgspec.structs.replace(status, tables=tables)))
    at = [label for label, _text in lines].index("in use")
    assert lines[at : at + 2] == [
        ("in use", "flows 1, verdicts 1, listening ports 1, conversations 1,"),
        ("", "processes 1, sockets 1"),
    ]


def test_with_a_broken_file_it_is_told_what_holds(running: RunningServer) -> None:
    status = running.call(running.handler.status, ROOT)
    broken = msgspec.structs.replace(status, rule_errors=("/etc/r:1:1: no verdict",))
    told = [dict(present_status(msgspec.structs.replace(broken, rules=rules)))["RULES NOT LOADED"] for rules in (1, 0)]
    assert told == [
        "the rules file has errors, the old rules hold",
        "the rules file has errors, no rule of the file holds until it is mended",
    ]


def test_json_is_one_object(running: RunningServer, command: Command) -> None:
    (line,) = command("status", "--json").out.splitlines()
    status = json.loads(line)
    assert (status["mode"], status["hits"], status["losses"]) == ("bpf", 5, {"history rows": 4})


def test_the_degraded_mode_and_bad_rules_are_not_overlooked(running: RunningServer) -> None:
    status = running.call(running.handler.status, ROOT)
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


def test_where_it_is_that_observing_learned_is_told(running: RunningServer) -> None:
    status = running.call(running.handler.status, ROOT)
    observing = msgspec.structs.replace(status, is_learning=True, learned_rules="/var/lib/x/learned.rules")
    lines = list(present_status(observing))
    assert ("", "as rules in /var/lib/x/learned.rules") in lines
    older = list(present_status(msgspec.structs.replace(observing, learned_rules="")))  # of an older daemon
    assert not any("as rules" in text for _label, text in older)
    assert not any("as rules" in text for _label, text in present_status(status))


def test_that_nobody_is_asked_is_told_with_what_is_left_of_it(running: RunningServer) -> None:
    status = running.call(running.handler.status, ROOT)
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


def test_who_does_not_enforce_does_not_say_so(running: RunningServer) -> None:
    status = running.call(running.handler.status, ROOT)
    why = f"netfilter rules taken away by others, not put back: {'x' * 30} (Operation not permitted)"
    lines = list(present_status(msgspec.structs.replace(status, not_enforcing=why)))
    assert lines[0] == ("mode", "NOT enforcing: new connections may pass unasked")
    assert (lines[1][0], " ".join(text for _label, text in lines[1:3])) == ("because", why)


def test_who_could_not_start_again_says_so(running: RunningServer) -> None:
    status = running.call(running.handler.status, ROOT)
    why = f"the Python is gone: {'x' * 30}; `make install` sets it up"
    lines = list(present_status(msgspec.structs.replace(status, cannot_restart=why)))
    assert (lines[1][0], " ".join(text for _label, text in lines[1:3])) == ("CANNOT RESTART", why)


def test_who_cannot_judge_all_that_comes_says_so(running: RunningServer) -> None:
    status = running.call(running.handler.status, ROOT)
    crowded = dict(present_status(msgspec.structs.replace(status, is_crowded=True)))
    assert crowded["CROWDED"] == "more packets come than can be judged, and the rest is dropped"
    assert "CROWDED" not in dict(present_status(status))


def test_what_is_wrong_with_the_rules_comes_with_a_hint(running: RunningServer) -> None:
    status = running.call(running.handler.status, ROOT)
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
def test_what_nobody_at_the_prompt_means(running: RunningServer, clients: int, is_learning: bool, told: str) -> None:
    status = running.call(running.handler.status, ROOT)
    now = msgspec.structs.replace(status, prompt_clients=clients, is_learning=is_learning)
    assert dict(present_status(now))["prompts attached"] == told


def test_who_may_not_see_all_rules_is_told_no_count_of_all(running: RunningServer) -> None:
    status = running.call(running.handler.status, ROOT)
    assert dict(present_status(status, 0))["rules"] == "1 in /etc/tinysnitch.rules, 0 temporary"
    assert dict(present_status(status, 1000))["rules"] == "1 that you may see in /etc/tinysnitch.rules, 0 temporary"


def test_groups_are_told_and_which_file_is_broken(running: RunningServer) -> None:
    groups = (RuleGroup("games", "/g.off", is_on=False), RuleGroup("work", "/etc/office.rules", is_on=True, rules=2))
    status = msgspec.structs.replace(running.handler.status(ROOT), groups=groups, rules=5)
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
