"""Which answers are let in, and how often. (With real packets: tests/lab/test_translated.py.)"""

from tinysnitch.core.model.flow import TCP, UDP, Direction, Flow, parse_address
from tinysnitch.kernel.nfqueue.nat_replies import ANEW_S, MAX_FLOWS, MAX_TRIES, NatReplies

HERE, THERE, MADE_UP, ELSEWHERE = map(parse_address, ("10.0.0.1", "10.0.0.2", "192.0.2.53", "10.0.1.1"))
LINK, OTHER_LINK = 2, 3


class SmallConntrack:
    def __init__(self) -> None:
        self.is_closed = False

    def find_asked(self, answer: Flow) -> Flow | None:
        if answer.remote != THERE:
            return None
        return Flow(answer.protocol, Direction.OUTBOUND, HERE, answer.local_port, MADE_UP, answer.remote_port)

    def close(self) -> None:
        self.is_closed = True


class MasqueradingConntrack(SmallConntrack):
    """Packets to THERE were sent from ELSEWHERE, in place of HERE."""

    def find_asked(self, answer: Flow) -> Flow | None:
        return super().find_asked(answer) if answer.local == ELSEWHERE else None


class SmallSources:
    def find(self, _remote: bytes, interface: int) -> bytes | None:
        return {LINK: HERE, OTHER_LINK: ELSEWHERE}.get(interface)

    def close(self) -> None:
        pass


class SmallPrograms:
    """Knows that MADE_UP was asked from ports below 5000."""

    def translate_conversation(self, asked: Flow, answer: Flow) -> bool:
        assert (asked.remote, answer.remote) == (MADE_UP, THERE)
        return asked.local_port < 5000


def answer_to(port: int, *, protocol: int = UDP, local: bytes = HERE, remote: bytes = THERE) -> Flow:
    return Flow(protocol, Direction.INBOUND, local, port, remote, 53)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def make(conntrack: type[SmallConntrack] = SmallConntrack, clock: Clock | None = None) -> NatReplies:
    return NatReplies(SmallPrograms(), conntrack, SmallSources, clock or Clock())  # type: ignore[arg-type]


def test_an_answer_to_what_was_asked_passes() -> None:
    answers = make()
    assert answers.let_pass(answer_to(4000), LINK)
    assert not answers.let_pass(answer_to(5000), LINK)
    assert not answers.let_pass(answer_to(4000, remote=MADE_UP), LINK)
    assert not answers.let_pass(answer_to(4000, protocol=TCP), LINK)
    assert not answers.let_pass(Flow(UDP, Direction.OUTBOUND, HERE, 4000, THERE, 53), LINK)


def test_an_answer_to_what_was_masqueraded_passes_by_the_interface_it_went_by() -> None:
    answers = make(MasqueradingConntrack)
    assert answers.let_pass(answer_to(4000), OTHER_LINK)
    assert not answers.let_pass(answer_to(4000), LINK)
    assert not answers.let_pass(answer_to(4000), 0)
    assert not answers.let_pass(answer_to(4000, local=MADE_UP), OTHER_LINK)


def test_what_comes_around_again_and_again_is_judged() -> None:
    answers = make()
    assert [answers.let_pass(answer_to(4000), LINK) for _ in range(MAX_TRIES + 1)] == [True] * MAX_TRIES + [False]
    for port in range(MAX_FLOWS):
        answers.let_pass(answer_to(10_000 + port), LINK)
    assert answers.let_pass(answer_to(4000), LINK)


def test_what_comes_again_a_while_later_is_not_held_against_it() -> None:
    clock = Clock()
    answers = make(clock=clock)
    for _ in range(3 * MAX_TRIES):
        assert answers.let_pass(answer_to(4000), LINK)
        clock.now_s += ANEW_S


def test_without_bpf_the_rules_ask_themselves() -> None:
    answers = NatReplies(None)
    assert not answers.let_pass(answer_to(4000), LINK)
    answers.close()
