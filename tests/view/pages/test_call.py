from tests.view.painted_state import PaintedState
from tests.view.sample_prompts import connection_of, prompt_of
from tinysnitch.view.pages.call import present_call
from tinysnitch.view.prompt_events import QuestionOpened
from tinysnitch.view.span import text_of


def test_a_question_that_waits_is_called_out_with_its_time() -> None:
    state = PaintedState()
    assert present_call(state, 0.0) is None
    state.handle(QuestionOpened(prompt_of(1)), 0.0)
    state.handle(QuestionOpened(prompt_of(2, connection_of(name="b.test"))), 0.0)
    call = present_call(state, 1.0)
    assert call is not None
    assert (text_of(call.sentence), call.is_urgent) == ("curl wants to reach shop.test", False)
    assert call.rest.startswith("1 more, ")
    late = present_call(state, state.questions[1].deadline_s - 3)
    assert late is not None
    assert (late.rest, late.is_urgent) == ("1 more, 3 s", True)


def test_a_hostile_name_is_escaped() -> None:
    state = PaintedState()
    state.handle(QuestionOpened(prompt_of(1, connection_of(name="\x1b[2Jevil.test"))), 0.0)
    call = present_call(state, 0.0)
    assert call is not None
    assert r"\x1b[2J" in text_of(call.sentence)
