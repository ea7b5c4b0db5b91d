import msgspec
import pytest

from tests.view.painted_state import PaintedState
from tests.view.sample_prompts import CURL, IN, OUT, connection_of, prompt_of
from tinysnitch.core.model.flow import parse_address
from tinysnitch.core.model.process import Process
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice, Lifetime
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.core.rules.text import parse_rule
from tinysnitch.view.earlier_answers import MAX_KEPT, EarlierAnswers
from tinysnitch.view.prompt_events import KeyPressed, QuestionOpened
from tinysnitch.view.prompt_view import present_prompt

replace = msgspec.structs.replace
YES = Choice(verdict=Verdict.ALLOW)
OTHER_ARGS = replace(CURL, args=("-s", "https://shop.test/2"), exec_id=8, pid=4243)
NEW = prompt_of(2, connection_of(OTHER_ARGS))
TOLD = "asked because no rule matches; its arguments are new (j: any)"


def earlier(choice: Choice = YES) -> EarlierAnswers:
    answers = EarlierAnswers()
    answers.note(prompt_of(1), choice)
    return answers


def test_what_differs_by_its_arguments_alone_is_known() -> None:
    assert earlier().differs_by_arguments(NEW)
    assert not EarlierAnswers().differs_by_arguments(NEW)
    assert not earlier().differs_by_arguments(prompt_of(2))  # the same arguments once more


@pytest.mark.parametrize("choice", [replace(YES, any_args=True), replace(YES, lifetime=Lifetime.ONCE)])
def test_an_answer_for_any_arguments_or_for_once_is_none_of_them(choice: Choice) -> None:
    assert not earlier(choice).differs_by_arguments(NEW)


@pytest.mark.parametrize(
    "other",
    [
        connection_of(OTHER_ARGS, name="b.test"),
        connection_of(OTHER_ARGS, name=None),
        connection_of(OTHER_ARGS, flow=replace(OUT, remote_port=80)),
        connection_of(OTHER_ARGS, flow=IN),
        connection_of(replace(OTHER_ARGS, program="/usr/bin/git")),
        connection_of(replace(OTHER_ARGS, uid=0)),
        connection_of(replace(OTHER_ARGS, are_args_complete=False)),
    ],
)
def test_nothing_else_is_one_of_them(other: object) -> None:
    assert not earlier().differs_by_arguments(prompt_of(2, other))  # type: ignore[arg-type]


def test_an_interpreter_is_none_of_them() -> None:
    """An interpreter's arguments are the program: an answer for any arguments would be for all that it can run."""
    python = replace(CURL, program="/usr/bin/python3.13", executable="/usr/bin/python3.13", args=("-c", "1"))
    answers = EarlierAnswers()
    answers.note(prompt_of(1, connection_of(python)), YES)
    other = connection_of(replace(python, args=("-c", "2")))
    assert not answers.differs_by_arguments(prompt_of(2, other))


def test_without_a_name_the_address_tells() -> None:
    answers = EarlierAnswers()
    answers.note(prompt_of(1, connection_of(name=None)), YES)
    assert answers.differs_by_arguments(prompt_of(2, connection_of(OTHER_ARGS, name=None)))
    elsewhere = replace(OUT, remote=parse_address("10.0.0.8"))
    assert not answers.differs_by_arguments(prompt_of(2, connection_of(OTHER_ARGS, elsewhere, name=None)))


def test_no_more_are_kept_than_have_room() -> None:
    answers = earlier()
    for number in range(MAX_KEPT):
        answers.note(prompt_of(3, connection_of(name=f"n{number}.test")), YES)
    assert not answers.differs_by_arguments(NEW)
    assert answers.differs_by_arguments(prompt_of(2, connection_of(OTHER_ARGS, name="n0.test")))


def why_of(process: Process, keys: str = "y", more: str = "", prompt: Prompt = NEW) -> str:
    """What is told of the second question after the first one was answered."""
    state = PaintedState()
    state.handle(QuestionOpened(prompt_of(1)), 0.0)
    for key in keys:
        state.handle(KeyPressed(key), 1.0)
    state.handle(QuestionOpened(replace(prompt, connection=connection_of(process))), 10.0)
    for key in more:
        state.handle(KeyPressed(key), 20.0)
    return present_prompt(state, 21.0).why


def test_the_prompt_tells_how_to_be_asked_no_more() -> None:
    assert why_of(OTHER_ARGS) == TOLD
    assert why_of(OTHER_ARGS, "n") == TOLD
    plain = TOLD.partition(";")[0]
    assert [why_of(CURL), why_of(OTHER_ARGS, "oy"), why_of(OTHER_ARGS, more="j")] == [plain] * 3


def test_a_window_that_comes_back_knows_them_too() -> None:
    state = PaintedState()
    state.earlier = earlier()
    assert state.begin_anew().earlier.differs_by_arguments(NEW)


def test_a_rule_that_asks_is_told_alone() -> None:
    assert (
        why_of(OTHER_ARGS, prompt=replace(NEW, rule=parse_rule("ask - - -"))) == "asked because of the rule ask - - -"
    )
