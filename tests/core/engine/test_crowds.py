from tests.core.engine.transcript import Transcript, flow_of, whose
from tinysnitch.core.engine import commands as cmd
from tinysnitch.core.engine.crowds import FIRST_LOOK, Crowds
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import TCP, Direction
from tinysnitch.core.model.process import KERNEL
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.model.verdict_key import VerdictKey

EVERYWHERE = VerdictKey(7, 1000, TCP, Direction.OUTBOUND, None, 0)
PLAIN = Connection(flow=flow_of(), attribution=whose())


def test_the_check_is_due_at_the_32nd_and_whenever_their_number_doubled() -> None:
    crowds = Crowds(8)
    looked = [number for number in range(1, 300) if crowds.count(PLAIN)]
    assert looked == [FIRST_LOOK, 64, 128, 256]
    crowds.clear()
    assert [crowds.count(PLAIN) for _ in range(FIRST_LOOK)][-2:] == [None, EVERYWHERE]


def test_each_program_has_a_crowd_of_its_own_and_an_unknown_one_has_none() -> None:
    crowds = Crowds(8)
    others = [Connection(flow=flow_of(), attribution=whose(8)), Connection(flow=flow_of(), attribution=KERNEL)]
    for _ in range(FIRST_LOOK - 1):
        assert not any(crowds.count(one) for one in (PLAIN, *others))
    assert crowds.count(others[1]) is None
    assert crowds.count(PLAIN) == EVERYWHERE


def remembered_everywhere(engine: Transcript, number: int) -> list[cmd.RememberVerdict]:
    """The verdicts that the engine has remembered for all remotes, after a program went to so many."""
    told = [
        command
        for index in range(number)
        for command in engine.feed(engine.next_packet(flow_of(port=1000 + index, remote=f"10.1.0.{index}")))
    ]
    return [one for one in told if isinstance(one, cmd.RememberVerdict) and one.key.remote is None]


def test_a_crowd_that_the_rules_treat_alike_is_remembered_once() -> None:
    engine = Transcript("allow - - - /usr/bin/curl", "allow localhost - -")
    (found,) = remembered_everywhere(engine, 40)
    assert (found.key, found.verdict, found.expires_s) == (EVERYWHERE, Verdict.ALLOW, None)
    assert found.generation == engine.engine.rules.generation


def test_a_crowd_that_the_rules_tell_apart_is_decided_one_by_one() -> None:
    assert not remembered_everywhere(Transcript("allow - - - /usr/bin/curl", "deny 10.9.9.9 - -"), 40)
    assert not remembered_everywhere(Transcript("ask - - - /usr/bin/curl", is_learning=True), 40)


def test_after_a_change_of_the_rules_it_is_counted_anew() -> None:
    engine = Transcript("allow - - - /usr/bin/curl")
    assert not remembered_everywhere(engine, FIRST_LOOK - 1)
    engine.load("allow - - - /usr/bin/curl", "allow localhost - -")
    assert not remembered_everywhere(engine, FIRST_LOOK - 1)
    engine.load("allow - - - /usr/bin/curl")
    assert len(remembered_everywhere(engine, FIRST_LOOK)) == 1
    engine.load("allow - - - /usr/bin/curl", "deny 10.9.9.9 - -")
    assert not remembered_everywhere(engine, FIRST_LOOK)


def test_a_crowd_whose_verdict_ran_out_is_soon_remembered_again() -> None:
    """A decision that rests on a rule with an end is made anew each minute, however many there were before."""
    engine = Transcript("allow until=2099-01-01T00:00:00Z - - - /usr/bin/curl")
    for _minute in range(8):
        assert len(remembered_everywhere(engine, FIRST_LOOK)) == 1
        engine.wait(61)
