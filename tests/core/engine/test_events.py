from tests.core.engine.transcript import BANK, Transcript, flow_of
from tinysnitch.core.engine import events as ev
from tinysnitch.core.engine.commands import SetGeneration, ShowPrompt
from tinysnitch.core.model.past import Past
from tinysnitch.core.policy.facts import Facts
from tinysnitch.core.rules.rule_line import parse_rule


def test_what_waits_when_the_firewall_ends_is_denied() -> None:
    """If its packets were dropped, they would be sent again, and pass once no rule judges them."""
    engine = Transcript()
    engine.queue(flow_of(1))
    engine.queue(flow_of(2, BANK))
    first = ["remember flow deny", "deny 1", "decided: the firewall ends", "close 1: the firewall ends"]
    assert engine.say(ev.FirewallEnds()) == first + [told.replace("1", "2") for told in first]
    assert engine.engine.next_deadline(engine.now) is None


def test_new_own_addresses_come_with_the_new_generation() -> None:
    engine, own = Transcript(), frozenset({flow_of().local})
    assert engine.feed(ev.FactsChanged(Facts(own_addresses=own)))[0] == SetGeneration(3, own)
    assert engine.feed(ev.RulesLoaded((parse_rule("allow - - -"),)))[-1] == SetGeneration(4)


def test_another_timeout_is_for_the_questions_to_come() -> None:
    engine = Transcript()
    engine.queue(flow_of(1))
    assert list(engine.engine.handle(ev.TimeoutChanged(5.0), engine.now)) == []
    engine.queue(flow_of(2, port=80))
    assert engine.engine.next_deadline(engine.now) == engine.now_s + 5
    assert "deny 2" in engine.wait(5)
    assert "deny 1" in engine.wait(55)


def test_what_the_history_has_is_shown_with_the_question_until_that_is_closed() -> None:
    engine, past = Transcript(), Past(domain="shop.test", denied=3)
    engine.queue(flow_of(1))
    (shown,) = engine.feed(ev.PastFound(1, past))
    assert isinstance(shown, ShowPrompt)
    assert shown.prompt.past == past
    assert [prompt.past for prompt in engine.engine.open_prompts(engine.now)] == [past]
    engine.wait(60)
    assert engine.feed(ev.PastFound(1, past)) == []
