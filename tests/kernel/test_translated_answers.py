"""Whose answers are let pass, and how often. (With real packets: tests/lab/test_translated.py.)"""

from tinysnitch.core.flow import TCP, UDP, Direction, Flow, parse_address
from tinysnitch.kernel.translated_answers import ANEW_S, MAX_FLOWS, MAX_TRIES, TranslatedAnswers

HERE, THERE, MADE_UP = map(parse_address, ("10.0.0.1", "10.0.0.2", "192.0.2.53"))


class SmallConntrack:
    def __init__(self) -> None:
        self.is_closed = False

    def find_asked(self, answer: Flow) -> Flow | None:
        if answer.remote != THERE:
            return None
        return Flow(answer.protocol, Direction.OUTBOUND, HERE, answer.local_port, MADE_UP, answer.remote_port)

    def close(self) -> None:
        self.is_closed = True


class SmallPrograms:
    """Knows that MADE_UP was asked from ports below 5000."""

    def translate_conversation(self, asked: Flow, answer: Flow) -> bool:
        assert (asked.remote, answer.remote) == (MADE_UP, THERE)
        return asked.local_port < 5000


def answer_to(port: int, *, protocol: int = UDP, remote: bytes = THERE) -> Flow:
    return Flow(protocol, Direction.INBOUND, HERE, port, remote, 53)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def make(clock: Clock | None = None) -> TranslatedAnswers:
    return TranslatedAnswers(SmallPrograms(), SmallConntrack, clock or Clock())  # type: ignore[arg-type]


def test_an_answer_to_what_was_asked_passes() -> None:
    answers = make()
    assert answers.let_pass(answer_to(4000))
    assert not answers.let_pass(answer_to(5000))
    assert not answers.let_pass(answer_to(4000, remote=MADE_UP))
    assert not answers.let_pass(answer_to(4000, protocol=TCP))
    assert not answers.let_pass(Flow(UDP, Direction.OUTBOUND, HERE, 4000, THERE, 53))


def test_what_comes_around_again_and_again_is_judged() -> None:
    answers = make()
    assert [answers.let_pass(answer_to(4000)) for _ in range(MAX_TRIES + 1)] == [True] * MAX_TRIES + [False]
    for port in range(MAX_FLOWS):
        answers.let_pass(answer_to(10_000 + port))
    assert answers.let_pass(answer_to(4000))


def test_what_comes_again_a_while_later_is_not_held_against_it() -> None:
    clock = Clock()
    answers = make(clock)
    for _ in range(3 * MAX_TRIES):
        assert answers.let_pass(answer_to(4000))
        clock.now_s += ANEW_S


def test_without_bpf_the_rules_ask_themselves() -> None:
    answers = TranslatedAnswers(None)
    assert not answers.let_pass(answer_to(4000))
    answers.close()
