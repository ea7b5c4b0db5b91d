"""A pause and other modes: what becomes of what no rule covers, and of what was decided only for that."""

from msgspec.structs import replace

from tests.core.engine.transcript import BANK, CURL, SHOP, Transcript, flow_of, whose, yes
from tinysnitch.core.engine import commands as cmd
from tinysnitch.core.engine.events import ModeSet
from tinysnitch.core.engine.records import ConnectionDecided
from tinysnitch.core.model.asking_mode import begin_mode
from tinysnitch.core.model.verdict import EXACT, Verdict, verdict_key_of
from tinysnitch.core.prompts.choice import Lifetime

ALLOW_FOR, DENY, ASK = (Verdict.ALLOW, 600.0), (Verdict.DENY, None), (Verdict.ASK, None)
UNTIL = "2023-11-14T22:40:00Z"
PAUSED = f"paused until {UNTIL}, no rule matches"


def test_in_a_pause_rules_hold_and_the_rest_passes_until_it_ends() -> None:
    engine = Transcript(f"deny {SHOP} - -", "ask - 22 tcp")
    assert engine.set_mode(*ALLOW_FOR) == ["generation 3", "mode allow", "mode allow until 1700001600.0 by 1000"]
    assert "deny 1" in engine.queue(flow_of(1))
    assert "opened 1" in engine.queue(flow_of(2, BANK, 22))
    assert engine.queue(flow_of(3, BANK)) == ["remember allow", "allow 3", f"decided: {PAUSED}"]
    assert engine.engine.next_deadline(engine.now) == engine.now_s + 60, "that of the question"
    engine.answer(1, yes(Lifetime.ONCE))
    assert engine.engine.next_deadline(engine.now) == engine.now_s + 600
    assert engine.wait(600) == ["generation 4", "mode ask", "mode ask until None by None"]
    assert "opened 2" in engine.queue(flow_of(3, BANK))
    assert engine.engine.next_deadline(engine.now) == engine.now_s + 60


def test_what_passes_is_remembered_for_no_more_and_no_longer_than_the_pause() -> None:
    engine = Transcript()
    engine.set_mode(*ALLOW_FOR)
    passed = engine.feed(engine.next_packet(flow_of(1)))
    (kept,) = [one for one in passed if isinstance(one, cmd.RememberVerdict)]
    assert (kept.key.mask, kept.expires_s) == (EXACT, engine.now_s + 600)
    engine.now_s += 599
    assert engine.queue(flow_of(2))[-1] == f"decided: {PAUSED} (cached)"
    engine.now_s += 1  # its end was not handled yet: the daemon was late
    assert "opened 1" in engine.queue(flow_of(3))


def test_a_pause_ends_with_the_boot_time_though_the_clock_is_set_back() -> None:
    engine = Transcript()
    engine.set_mode(*ALLOW_FOR)
    engine.queue(flow_of(1))
    connection = engine.engine.connection_of(flow_of(2), CURL, "eth0", engine.now)
    late = replace(engine.now, boot_s=engine.now_s + 600, wall_s=0.0)
    assert engine.engine.decide(connection, late).verdict is Verdict.ASK
    key = verdict_key_of(connection)
    assert key is not None
    cache = engine.engine.verdict_writer.cache
    assert cache.find(key, engine.now.boot_s) is not None
    assert cache.find(key, late.boot_s) is None


def test_questions_that_are_open_when_a_mode_begins_are_decided_by_it_and_told() -> None:
    engine = Transcript("ask - 22 tcp")
    engine.queue(flow_of(1))
    engine.queue(flow_of(2, port=22))
    told = engine.set_mode(*ALLOW_FOR)
    assert told[-3:] == ["allow 1", f"decided: {PAUSED}", f"close 1: {PAUSED}"]
    engine.set_mode(*ASK)
    engine.queue(flow_of(3))
    told = engine.set_mode(*DENY)
    assert told[-3:] == ["deny 3", "decided: mode deny, no rule matches", "close 3: mode deny, no rule matches"]
    assert [prompt.prompt_id for prompt in engine.engine.prompts] == [2], "a rule asks"


def test_what_an_open_question_let_pass_is_noted_as_it_was_asked() -> None:
    engine = Transcript()
    ssh = whose(9, "/usr/bin/ssh", args=(f"root@{SHOP}",))
    engine.resolve("shop.test", SHOP)
    engine.queue(flow_of(1, port=22), ssh)
    reports = [
        one.record for one in engine.feed(ModeSet(begin_mode(*ALLOW_FOR, engine.now), 0)) if isinstance(one, cmd.Report)
    ]
    (decided,) = [one for one in reports if isinstance(one, ConnectionDecided)]
    assert decided.decision.is_learned
    assert decided.connection.asking.is_by_address, "another program asked for its name"


def test_in_mode_deny_nothing_new_is_remembered_after_it() -> None:
    engine = Transcript("allow - 53 -")
    engine.set_mode(Verdict.DENY, 60.0)
    assert "allow 1" in engine.queue(flow_of(1, port=53))
    assert engine.queue(flow_of(2))[-1] == "decided: mode deny until 2023-11-14T22:31:00Z, no rule matches"
    assert engine.wait(60)[0] == "generation 4"
    assert "opened 1" in engine.queue(flow_of(2))


def test_a_mode_without_end_lasts_until_the_next_one() -> None:
    engine = Transcript(timeout_s=0.0)
    engine.set_mode(Verdict.ALLOW)
    assert engine.engine.next_deadline(engine.now) is None
    engine.wait(1e6)
    assert engine.queue()[-1] == "decided: mode allow, no rule matches"
    engine.set_mode(*ASK)
    assert engine.queue(flow_of(2))[-1] == "decided: no rule matches and nobody is asked"
