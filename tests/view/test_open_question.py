import msgspec

from tests.view.sample_prompts import prompt_of
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice, Lifetime
from tinysnitch.view.open_question import OpenQuestion
from tinysnitch.view.prompt_events import Answer

CHOICE = Choice(verdict=Verdict.ALLOW)
QUESTION = OpenQuestion(prompt_of(7), deadline_s=60.0, opened_s=0.0, choice=CHOICE, first=CHOICE)


def test_an_answer_says_what_is_chosen_and_how_long_it_holds() -> None:
    quits = msgspec.structs.replace(CHOICE, lifetime=Lifetime.QUIT)
    assert QUESTION.answer(quits) == Answer(7, quits, holds="until curl quits")


def test_an_answer_by_hand_is_the_line() -> None:
    assert QUESTION.answer_by_hand("deny - - -") == Answer(7, None, "deny - - -", "forever")
