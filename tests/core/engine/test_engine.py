"""Events in, commands out. tests/core/engine/transcript.py tells both in few words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.core.engine.engine_walk import STEPS, Walk
from tests.core.engine.transcript import (
    BANK,
    CURL,
    FACTS,
    SHOP,
    Transcript,
    flow_of,
    inbound,
    no,
    process_of,
    whose,
    yes,
)
from tinysnitch.core.engine import events as ev
from tinysnitch.core.engine.open_prompts import ClosedPrompt
from tinysnitch.core.model.errors import RuleSyntaxError
from tinysnitch.core.model.flow import TCP, UDP, Direction, Flow
from tinysnitch.core.model.process import KERNEL, UNKNOWN, Attribution, AttributionSource
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.prompts.answer import rule_for_choice
from tinysnitch.core.prompts.choice import Lifetime
from tinysnitch.core.rules.rule_line import format_rule, parse_rule

ALLOW_SHOP = "allow 10.0.0.80 443 tcp /usr/bin/curl"
ANSWER = "answered by uid 1000"
CLOSED = Attribution(AttributionSource.UNKNOWN, is_listening=False)


@pytest.mark.parametrize("verdict", ["allow", "deny"])
def test_a_rule_decides_and_the_kernel_knows_before_the_packet_goes(verdict: str) -> None:
    line = f"{verdict} 10.0.0.80 443 tcp /usr/bin/curl"
    told = Transcript(line).queue()
    assert told == [
        f"remember {verdict}",
        f"{verdict} 1",
        f"decided: {'allowed' if verdict == 'allow' else 'denied'} by a rule",
    ]


def test_a_connection_like_one_before_is_decided_from_what_is_remembered() -> None:
    engine = Transcript(ALLOW_SHOP)
    engine.queue(flow_of(1))
    assert engine.queue(flow_of(2)) == ["remember allow", "allow 2", "decided: allowed by a rule (cached)"]


def test_a_further_packet_of_a_decided_flow_gets_the_same_and_is_not_told_again() -> None:
    engine = Transcript(ALLOW_SHOP)
    engine.queue()
    assert engine.queue() == ["remember flow allow", "allow 2"]


def test_a_flow_decided_by_rules_is_decided_anew_after_a_change() -> None:
    engine = Transcript(ALLOW_SHOP)
    engine.queue()
    assert engine.load("deny - - -") == ["rules 1, errors 0", "generation 3"]
    assert engine.queue()[1] == "deny 2"


@pytest.mark.parametrize(("who", "word"), [(KERNEL, "kernel"), (UNKNOWN, "unknown")])
def test_kernel_and_unknown_are_words_of_rules(who: Attribution, word: str) -> None:
    engine = Transcript(f"allow - - - {word}", "deny - - - /usr/bin/curl")
    assert "allow 1" in engine.queue(who=who)
    # Nothing of an unknown program is remembered for others: the next one may be another program.
    assert engine.queue(flow_of(2), who)[0] == ("remember allow" if who is KERNEL else "remember flow allow")


def test_a_rule_on_an_interface_is_remembered_for_the_flow_alone() -> None:
    assert Transcript("allow iface=eth0 - - -").queue()[0] == "remember flow allow"


def test_where_nothing_listens_nobody_is_asked() -> None:
    engine = Transcript()
    assert engine.queue(inbound(), CLOSED) == [
        "remember flow deny",
        "deny 1",
        "decided: no program listens on this port",
    ]
    engine.now_s += 11  # a program may have begun to listen
    assert engine.queue(inbound(), CURL)[0] == "opened 1"


def test_learning_allows_what_no_rule_decides() -> None:
    engine = Transcript("deny 10.0.0.81 - -", is_learning=True)
    assert engine.queue()[1:] == ["allow 1", "decided: learning: no rule matches"]
    assert "deny 2" in engine.queue(flow_of(2, BANK))


@pytest.mark.parametrize(
    ("lines", "options", "flow", "who"),
    [
        ([ALLOW_SHOP], {}, flow_of(), CURL),
        (["deny iface=eth0 - - -"], {}, flow_of(), CURL),
        ([], {}, inbound(), CLOSED),
        ([], {"is_learning": True}, flow_of(), CURL),
        (["ask - - -"], {"timeout_s": 0.0}, flow_of(), CURL),
        (["ask - - -"], {"timeout_s": 0.0}, flow_of(), whose(is_host_file=False)),
    ],
)
def test_what_is_foretold_is_what_is_done(
    lines: list[str], options: dict[str, object], flow: Flow, who: Attribution
) -> None:
    engine = Transcript(*lines, **options)
    connection = engine.engine.connection_of(flow, who, "eth0", engine.now)
    foretold = engine.engine.decide(connection, engine.now)
    assert engine.engine.decide(connection, engine.now) == foretold  # it changes nothing
    assert engine.queue(flow, who)[1:] == [f"{foretold.verdict.value} 1", f"decided: {foretold.reason}"]


def test_a_question_and_an_answer_to_what_was_allowed_are_foretold() -> None:
    engine = Transcript("allow 10.0.0.80 443 udp", "deny - - -src")
    asked = flow_of(protocol=UDP)
    answer = engine.engine.connection_of(replace(asked, direction=Direction.INBOUND), CURL, "eth0", engine.now)
    assert engine.engine.decide(answer, engine.now).verdict is Verdict.DENY
    engine.queue(asked)
    assert engine.engine.decide(answer, engine.now).reason == "it answers what was allowed"
    other = engine.engine.connection_of(flow_of(remote=BANK), CURL, "eth0", engine.now)
    assert engine.engine.decide(other, engine.now).verdict is Verdict.ASK
    assert len(engine.engine.prompts) == 0


def test_equal_questions_are_one_with_a_count() -> None:
    engine = Transcript()
    assert engine.queue(flow_of(1)) == ["opened 1", "ask 1 x1"]
    assert engine.queue(flow_of(2), whose(exec_id=8)) == ["ask 1 x2"]
    assert engine.queue(flow_of(3), whose(program="/usr/bin/wget")) == ["opened 2", "ask 2 x1"]


def test_forever_writes_the_rule_and_lets_everything_go_that_waits_for_it() -> None:
    engine = Transcript()
    engine.queue(flow_of(1))
    engine.queue(flow_of(1))  # sent again meanwhile
    engine.queue(flow_of(2))
    line = "allow 10.0.0.80 443 tcp /usr/bin/curl ()"
    told = engine.answer(1, yes())
    decided = f"decided: {ANSWER}"
    assert told[:3] == [f"answered 1: {line}", f"write {line}", "generation 3"]
    assert told[3:] == [
        *("remember allow", "allow 1", "allow 2", decided),
        *("remember allow", "allow 3", f"{decided} (cached)"),
        "close 1: answered yes by uid 1000",
    ]
    assert engine.queue(flow_of(3))[1] == "allow 4"


def test_once_lets_one_connection_through_and_asks_again_for_the_rest() -> None:
    engine = Transcript()
    for port in (1, 2, 3):
        engine.queue(flow_of(port))
    told = engine.answer(1, yes(Lifetime.ONCE))
    once = "answered once by uid 1000"
    assert [told[0].partition(" # ")[2], *told[1:]] == [
        "once",
        *("remember flow allow", "allow 1", f"decided: {once}", "close 1: answered yes once by uid 1000"),
        *("opened 2", "ask 2 x1", "ask 2 x2"),
    ]
    engine.load("deny 10.0.0.99 - -")
    assert engine.queue(flow_of(1)) == ["remember flow allow", "allow 4"]  # what was answered outlives the rules
    assert engine.queue(flow_of(1), cookie=99) == ["ask 2 x3"]  # another socket with the same addresses


def test_no_once_refuses_all_that_wait() -> None:
    engine = Transcript()
    engine.queue(flow_of(1))
    engine.queue(flow_of(2))
    told = engine.answer(1, no(Lifetime.ONCE))
    assert [word for word in told if word.startswith("deny")] == ["deny 1", "deny 2"]
    assert engine.queue(flow_of(1))[-1] == "deny 3"
    engine.now_s += 61
    assert engine.queue(flow_of(1))[0] == "opened 2"


@pytest.mark.parametrize("flow", [flow_of(1), flow_of(1, protocol=UDP), inbound()])
def test_once_is_no_pass_for_ever(flow: Flow) -> None:
    """For TCP: a listener has one socket for all connections, and a client may connect again between the same ends."""
    engine = Transcript()
    engine.queue(flow, CURL, cookie=5)
    engine.answer(1, yes(Lifetime.ONCE))
    engine.now_s += 119
    assert engine.queue(flow, CURL, cookie=5)[-1] == "allow 2"
    engine.now_s += 2
    assert engine.queue(flow, CURL, cookie=5)[0] == ("remember flow allow" if flow.protocol == UDP else "opened 2")


def test_minutes_end_on_time() -> None:
    engine = Transcript()
    engine.queue(flow_of(1))
    told = engine.answer(1, yes(Lifetime.ONE_MINUTE))
    assert told[0].startswith("answered 1: allow until=")
    assert told[1] == "keep 1"
    assert engine.engine.next_deadline(engine.now) == engine.now_s + 60
    engine.now_s += 59
    assert "allow 2" in engine.queue(flow_of(2))
    assert engine.wait(1) == ["keep 0"]
    assert engine.queue(flow_of(3))[0] == "opened 2"
    assert engine.engine.next_deadline(engine.now) == engine.now_s + 60  # of the question


def test_until_quit_ends_with_the_process() -> None:
    engine = Transcript()
    engine.queue(flow_of(1))
    engine.queue(flow_of(2), whose(exec_id=8))
    told = engine.answer(1, yes(Lifetime.QUIT))
    assert [told[0].partition(" # ")[2], told[1]] == ["until 4007 ends", "watch 4007"]
    # The other process waited in the same question: it gets the answer, and no more than that.
    assert [word for word in told if word.startswith("allow")] == ["allow 1", "allow 2"]
    assert "remember flow allow" in told
    assert "allow 3" in engine.queue(flow_of(3))
    assert engine.say(ev.ProcessExited(process_of(pid=4100).key)) == []  # a fork
    assert engine.say(ev.ProcessExited(process_of().key)) == ["keep 0", "generation 4"]
    assert engine.say(ev.ProcessExited(process_of().key)) == []
    assert engine.queue(flow_of(4))[0] == "opened 2"


def test_who_waits_gets_the_answer_even_against_a_narrower_rule() -> None:
    engine = Transcript("ask 10.0.0.80 443 tcp /usr/bin/curl ()")
    engine.queue()
    told = engine.answer(1, yes(), parse_rule("allow - - - /usr/bin/curl"))
    assert told[3:] == ["remember flow allow", "allow 1", f"decided: {ANSWER}", "close 1: answered yes by uid 1000"]
    assert engine.queue(flow_of(2))[0] == "opened 2"


def test_a_rule_by_hand_answers_those_that_it_speaks_of() -> None:
    engine = Transcript()
    engine.resolve("shop.test", SHOP)
    engine.resolve("shop.test", BANK)
    engine.queue(flow_of(1, SHOP))
    engine.queue(flow_of(2, BANK))
    rule = parse_rule("allow 10.0.0.81 - -")
    assert engine.engine.is_answered_by(1, rule, engine.now)
    assert not engine.engine.is_answered_by(1, parse_rule("allow 10.0.0.9 - -"), engine.now)
    assert not engine.engine.is_answered_by(9, rule, engine.now)
    assert engine.answer(1, yes(), rule)[3:] == ["remember allow", "allow 6", f"decided: {ANSWER}", "ask 1 x1"]


def test_an_answer_decides_other_questions_too() -> None:
    engine = Transcript()
    engine.queue(flow_of(1, port=443))
    engine.queue(flow_of(2, port=80))
    told = engine.answer(1, yes(), parse_rule("allow - - - /usr/bin/curl"))
    assert told[-3:] == ["allow 2", "decided: allowed by a rule (cached)", "close 2: decided by a rule"]


def test_a_late_answer_hits_nothing() -> None:
    engine = Transcript()
    engine.queue()
    engine.answer(1, no())
    assert engine.answer(1, yes()) == []
    assert engine.engine.prompts.find_closed(1) == ClosedPrompt("answered no by uid 1000", 1000)


def test_ask_is_no_answer() -> None:
    engine = Transcript()
    engine.queue()
    assert engine.answer(1, yes(), parse_rule("ask - - -")) == []
    assert len(engine.engine.prompts) == 1


def test_a_program_that_no_rule_can_name_is_answered_for_now_alone() -> None:
    engine = Transcript()
    inside = whose(is_host_file=False)
    engine.queue(flow_of(1), inside)
    engine.queue(flow_of(2), inside)
    told = engine.answer(1, yes(Lifetime.DAY))
    assert [word for word in told if word.startswith(("allow", "write"))] == ["allow 1", "allow 2"]
    assert not any("until=" in word for word in told)
    assert engine.queue(flow_of(3), inside)[0] == "opened 2"


def test_another_socket_on_the_same_addresses_drops_what_was_held_and_that_is_told() -> None:
    engine = Transcript()
    engine.queue(flow_of(1))
    engine.queue(flow_of(2))
    dropped = ["drop 1", "decided: the program gave up"]
    assert engine.queue(flow_of(1), cookie=99) == [*dropped, "ask 1 x1", "ask 1 x2"]
    engine = Transcript()
    engine.queue(flow_of(1))
    told = engine.queue(flow_of(1), cookie=99)
    assert told == [*dropped, "close 1: the program gave up", "opened 2", "ask 2 x1"]


def test_another_program_on_the_same_socket_is_asked_about_by_its_own_name() -> None:
    engine = Transcript()
    engine.queue()
    assert engine.queue(who=UNKNOWN) == []  # its process ended meanwhile; the kernel asks again if it has to
    told = engine.queue(who=whose(exec_id=8, program="/tmp/evil"))
    gave_up = "the program gave up"
    assert told == ["drop 1", "drop 2", f"decided: {gave_up}", f"close 1: {gave_up}", "opened 2", "ask 2 x1"]


@pytest.mark.parametrize(
    ("protocol", "who", "is_answer"), [(UDP, whose(), True), (UDP, whose(exec_id=8), False), (TCP, whose(), False)]
)
def test_what_comes_in_is_no_question_any_more_once_it_is_an_answer(
    protocol: int, who: Attribution, is_answer: bool
) -> None:
    """The remote's packet may be the first one that is seen of a conversation from before the daemon's start."""
    engine = Transcript("allow 10.0.0.80 443 tcp", "allow 10.0.0.80 443 udp")
    asked = flow_of(protocol=protocol)
    answer = replace(asked, direction=Direction.INBOUND)
    assert engine.queue(answer) == ["opened 1", "ask 1 x1"]
    told = engine.queue(asked, who)
    passed = ["allow 1", "decided: it answers what was allowed", "close 1: it answers what was allowed"]
    assert told[-3:] == passed if is_answer else "allow 1" not in told


@pytest.mark.parametrize(("clients", "is_shown"), [([], False), ([None], True), ([1001], False), ([1001, 1000], True)])
def test_no_answer_denies_in_time(clients: list[int | None], is_shown: bool) -> None:
    engine = Transcript(timeout_s=20.0)
    engine.queue(flow_of(1))
    for number, uid in enumerate(clients):
        assert engine.say(ev.ClientAttached(number, uid)) == []
    assert engine.wait(19.9) == []
    reason = "no answer within 20 s" + ("" if is_shown else ", no prompt client attached")
    assert engine.wait(0.1) == ["remember flow deny", "deny 1", f"decided: {reason}", f"close 1: {reason}"]
    assert engine.engine.next_deadline(engine.now) is None


def test_a_client_that_left_is_no_client() -> None:
    engine = Transcript()
    engine.say(ev.ClientAttached(1, None))
    assert engine.say(ev.ClientDetached(1)) == []
    engine.queue()
    assert engine.wait(60)[-1].endswith("no prompt client attached")


def test_without_a_timeout_nobody_is_asked() -> None:
    engine = Transcript(timeout_s=0.0)
    assert engine.queue() == ["remember flow deny", "deny 1", "decided: no rule matches and nobody is asked"]
    assert len(engine.engine.prompts) == 0


def test_what_finds_no_room_is_denied_and_counted() -> None:
    engine = Transcript(max_prompts=1, max_held_per_flow=1)
    engine.queue(flow_of(1))
    assert engine.queue(flow_of(2, BANK))[1:] == ["deny 2", "decided: too many open questions"]
    assert engine.queue(flow_of(1)) == ["drop 3"]
    assert (engine.engine.prompts.turned_away, engine.engine.prompts.dropped) == (1, 1)


def test_a_change_of_the_rules_decides_what_waits() -> None:
    engine = Transcript()
    engine.queue(flow_of(1))
    assert engine.load("deny - - - /usr/bin/curl") == [
        *("rules 1, errors 0", "generation 3", "remember deny", "deny 1", "decided: denied by a rule"),
        "close 1: decided by a rule",
    ]


def test_a_change_that_decides_some_of_a_question_tells_the_new_count() -> None:
    engine = Transcript()
    engine.resolve("shop.test", SHOP)
    engine.resolve("shop.test", BANK)
    engine.queue(flow_of(1, SHOP))
    engine.queue(flow_of(2, BANK))
    assert "ask 1 x1" in engine.load("allow 10.0.0.81 - -")


def test_the_same_rules_again_change_nothing() -> None:
    engine = Transcript(ALLOW_SHOP, "deny - 23 tcp")
    assert engine.load("deny - 23 tcp", ALLOW_SHOP) == []


def test_what_holds_beside_a_broken_file_is_loaded_and_that_it_is_whole_again_is_told() -> None:
    engine = Transcript(ALLOW_SHOP)
    errors = (RuleSyntaxError("rules", 1, 1, "not a verdict"),)
    old, new = parse_rule(ALLOW_SHOP), parse_rule("deny - 23 tcp")
    assert engine.say(ev.RulesLoaded((old,), errors)) == ["rules 1, errors 1"]
    assert "allow 1" in engine.queue()
    assert engine.say(ev.RulesLoaded((old, new), errors))[0] == "rules 2, errors 1"
    assert engine.say(ev.RulesLoaded((old,), errors))[0] == "rules 1, errors 1"
    assert engine.load(ALLOW_SHOP) == ["rules 1, errors 0"]
    assert engine.load(ALLOW_SHOP) == []


def test_temporary_rules_can_be_taken_away() -> None:
    engine = Transcript()
    engine.queue(flow_of(1))
    engine.answer(1, yes(Lifetime.DAY))
    (rule,) = engine.engine.rules.temporary()
    assert engine.say(ev.AnswersTakenBack((rule,))) == ["keep 0", "generation 4"]
    assert engine.queue(flow_of(2))[0] == "opened 2"


def test_a_flow_that_was_answered_once_is_asked_about_again_once_that_is_taken_back() -> None:
    """Other flows keep their answers, though the kernel has to be told again."""
    engine = Transcript()
    for number in (1, 2):
        engine.queue(flow_of(number, port=number))
        engine.answer(number, no(Lifetime.ONCE))
    rules = [known.decision.rule for _flow, known in engine.engine.verdict_writer._flows.items()]
    assert engine.say(ev.AnswersTakenBack(answered=(rules[0],))) == ["generation 3"]
    assert engine.queue(flow_of(1, port=1))[0] == "opened 3"
    assert "deny 4" in engine.queue(flow_of(2, port=2))


def test_a_temporary_rule_that_was_removed_is_put_back() -> None:
    engine = Transcript()
    rule = parse_rule("deny until=2033-05-18T03:33:20Z - 443 tcp /usr/bin/curl")
    engine.queue()
    assert engine.say(ev.AnswersTakenBack(put_back=(rule,)))[:2] == ["keep 1", "generation 3"]
    assert engine.engine.rules.temporary() == (rule,)
    assert not engine.engine.prompts


def test_other_facts_decide_what_waits() -> None:
    engine = Transcript("allow @resolvers 443 tcp")
    engine.queue()
    told = engine.say(ev.FactsChanged(Facts(resolvers=frozenset({flow_of().remote}))))
    assert told[0] == "generation 3"
    assert "allow 1" in told


def test_a_loss_is_told() -> None:
    assert Transcript().say(ev.DataLost("flows not stored", 3)) == ["lost flows not stored 3"]


def test_a_verdict_by_name_ends_with_the_name() -> None:
    engine = Transcript("allow shop.test 443 tcp")
    engine.resolve("shop.test", SHOP, UNKNOWN, ttl_s=600)
    engine.queue(flow_of(1))
    engine.now_s += 600
    assert engine.queue(flow_of(1))[0] == "opened 1"


@pytest.mark.parametrize("is_answer", [True, False])
def test_a_name_that_ends_while_people_think_is_not_asked_about_twice(is_answer: bool) -> None:
    engine = Transcript(timeout_s=3600.0)
    engine.resolve("shop.test", SHOP, UNKNOWN, ttl_s=600)
    engine.queue()
    engine.now_s += 700
    told = engine.answer(1, yes()) if is_answer else engine.load("allow shop.test - -")
    assert "remember flow allow" in told
    assert engine.queue() == ["remember flow allow", "allow 4"]


def test_a_name_that_comes_while_people_think_is_not_covered_by_their_answer() -> None:
    engine = Transcript("deny ads.test - -")
    engine.resolve("shop.test", SHOP)
    engine.queue(flow_of(1))
    engine.resolve("ads.test", SHOP)
    assert "remember flow allow" in engine.answer(1, yes())
    assert "deny 6" in engine.queue(flow_of(2))


def test_resolvers_follow_the_facts() -> None:
    engine = Transcript("allow shop.test - -")
    engine.say(ev.FactsChanged(Facts()))
    engine.resolve("shop.test", SHOP)
    assert "opened 1" in engine.queue()
    assert FACTS.resolvers


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, min_size=20, max_size=60), st.booleans(), st.sampled_from([0.0, 20.0, 60.0]))
def test_each_packet_has_one_fate_and_none_passes_without_a_decision(
    steps: list[tuple[str]], is_learning: bool, timeout_s: float
) -> None:
    walk = Walk(is_learning, timeout_s)
    for step in steps:
        walk.take(*step)
    walk.take("wait", 61.0)
    assert walk.fates.keys() == walk.packets.keys()


# --- proposals learn from answers --------------------------------------------------------------------------


AS_PROPOSED = replace(yes(), any_args=True)


def proposed(engine: Transcript) -> dict[int, str]:
    """Of each open question the rule that it proposes."""
    prompts = engine.engine.open_prompts(engine.now)
    rules = {each.prompt_id: rule_for_choice(each.connection, each.proposal, engine.now.wall_s) for each in prompts}
    return {number: format_rule(replace(rule, until_s=None)) for number, rule in rules.items()}


def connect(engine: Transcript, number: int, name: str, who: Attribution = CURL, port: int = 443) -> list[str]:
    """The program looks the name up, and connects."""
    address = f"10.1.0.{number}"
    engine.resolve(name, address, who)
    return engine.queue(flow_of(40000 + number, address, port), who)


def test_names_that_a_program_makes_up_change_no_proposal() -> None:
    """Two honest names are answered, and then it asks for names of its own."""
    engine = Transcript()
    for number, name in enumerate(("cdn.shop.test", "api.shop.test"), 1):
        assert connect(engine, number, name) == [f"opened {number}", f"ask {number} x1"]
        engine.answer(number, AS_PROPOSED)
    for number in range(3, 12):
        name = f"a{number - 2}.evil.test"
        assert connect(engine, number, name) == [f"opened {number}", f"ask {number} x1"]
        assert proposed(engine)[number].split()[1] == name
    # Nothing passed, and nothing was written without a key.
    assert len(engine.engine.prompts) == 9
    assert [format_rule(rule).split()[1] for rule in engine.engine.rules] == ["cdn.shop.test", "api.shop.test"]
    # What was answered teaches its own domain alone.
    connect(engine, 12, "img.shop.test")
    assert proposed(engine)[12].split()[1] == "*.shop.test"


def test_an_answer_teaches_the_questions_that_wait() -> None:
    engine = Transcript()
    for number, name in enumerate(("cdn.shop.test", "api.shop.test", "img.shop.test", "www.bank.test"), 1):
        connect(engine, number, name)
    assert "ask 3 x1" not in engine.answer(1, AS_PROPOSED)
    told = engine.answer(2, AS_PROPOSED)
    assert told[-1] == "ask 3 x1"  # with another proposal; that of the bank stays
    assert {number: rule.split()[1] for number, rule in proposed(engine).items()} == {
        3: "*.shop.test",
        4: "www.bank.test",
    }
    (prompt,) = [each for each in engine.engine.open_prompts(engine.now) if each.prompt_id == 3]
    assert prompt.widened == "for all of shop.test, since cdn.shop.test and api.shop.test were allowed"
    assert engine.answer(3, prompt.proposal)[0].startswith("answered 3: allow until=")
    assert connect(engine, 5, "new.shop.test")[-1] == "decided: allowed by a rule"


def test_what_was_learned_is_forgotten_with_the_rules_that_taught_it() -> None:
    engine = Transcript(*(f"allow {name}.shop.test 443 tcp /usr/bin/curl" for name in ("cdn", "api")))
    connect(engine, 1, "img.shop.test")
    assert proposed(engine)[1].split()[1] == "*.shop.test"
    assert engine.load("deny ads.shop.test 443 tcp /usr/bin/curl")[-1] == "ask 1 x1"
    assert proposed(engine)[1].split()[1] == "img.shop.test"


def test_nothing_is_learned_where_a_rule_asks() -> None:
    allowed = (f"allow {name}.shop.test 443 tcp /usr/bin/curl" for name in ("cdn", "api"))
    engine = Transcript(*allowed, "ask - - - /usr/bin/curl")
    connect(engine, 1, "img.shop.test")
    assert proposed(engine)[1].split()[1] == "img.shop.test"


def test_an_answer_for_once_teaches_nothing() -> None:
    engine = Transcript()
    for number, name in enumerate(("cdn.shop.test", "api.shop.test"), 1):
        connect(engine, number, name)
        engine.answer(number, yes(Lifetime.ONCE))
    connect(engine, 3, "img.shop.test")
    assert proposed(engine)[3].split()[1] == "img.shop.test"
