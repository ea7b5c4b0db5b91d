import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.view.painted_state import PaintedState
from tests.view.sample_prompts import CURL, connection_of, prompt_of
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice
from tinysnitch.view.keys import KEYS
from tinysnitch.view.open_question import OpenQuestion
from tinysnitch.view.prompt_events import (
    AnswerRefused,
    ConnectionLost,
    Event,
    KeyPressed,
    QuestionClosed,
    QuestionOpened,
    ScreenRegained,
)
from tinysnitch.view.questions import Questions

GIT = msgspec.structs.replace(CURL, program="/usr/bin/git")


def of_two_programs() -> Questions:
    """Questions 1, 3 and 4 are curl's, 2 is git's."""
    questions = Questions()
    choice = Choice(verdict=Verdict.ALLOW)
    for number, process in enumerate((CURL, GIT, CURL, CURL), 1):
        questions.put(OpenQuestion(prompt_of(number, connection_of(process)), 60.0, 0.0, choice, choice))
    return questions


def test_they_are_kept_as_they_opened_and_walked_through_program_by_program() -> None:
    questions = of_two_programs()
    assert (list(questions), questions.ring(), questions.find_first_waiting()) == ([1, 2, 3, 4], [1, 3, 4, 2], 1)


def test_a_program_keeps_its_place_until_its_last_question_is_gone() -> None:
    """Questions of one program that are answered one by one have no other program's question in between."""
    questions = of_two_programs()
    questions.pop(1)
    assert (questions.ring(), questions.find_first_waiting()) == ([3, 4, 2], 3)
    questions.put(questions[3])  # the same question again, with another count or name
    assert questions.ring() == [3, 4, 2]
    for number in (3, 4):
        questions.pop(number)
    questions.put(msgspec.structs.replace(questions[2], prompt=prompt_of(5)))
    assert questions.ring() == [2, 5]


def test_one_that_is_put_aside_is_walked_to_and_waits() -> None:
    questions = of_two_programs()
    questions.change(1, is_aside=True)
    assert (questions.ring(), questions.find_first_waiting(), questions.waiting_count) == ([1, 3, 4, 2], 3, 4)
    assert len(questions.find_alike(questions[3])) == 2


def test_one_whose_answer_is_on_its_way_is_there_and_waits_no_more() -> None:
    questions = of_two_programs()
    assert not questions.is_answering
    questions.change(1, is_sent=True)
    assert (len(questions), questions.ring(), questions.find_first_waiting()) == (4, [3, 4, 2], 3)
    assert (questions.waiting_count, questions.is_answering) == (3, True)
    assert questions.find_alike(questions[3]) == (questions[4],)


def test_one_that_is_gone_is_nowhere() -> None:
    questions = of_two_programs()
    gone = questions.pop(2)
    assert gone is not None
    assert (gone.prompt.prompt_id, questions.pop(2), questions.get(2)) == (2, None, None)
    assert questions.ring() == [1, 3, 4]
    questions.clear()
    assert (dict(questions), questions.find_first_waiting()) == ({}, None)


NAMES = [*(name for key in KEYS for name in key.names), "enter"]
NEWS = [event for number in (1, 2, 3) for event in (QuestionOpened(prompt_of(number)), AnswerRefused(number, "late"))]
NEWS += [*(QuestionClosed(number, "answered") for number in (1, 2)), ScreenRegained(), ConnectionLost("gone")]


@given(st.lists(st.sampled_from([*map(KeyPressed, NAMES), *NEWS])))
def test_what_is_answered_is_out_of_sight(events: list[Event]) -> None:
    state = PaintedState()
    for second, event in enumerate(events):
        state.handle(event, second)
        assert state.selected is None or not state.selected.is_sent
