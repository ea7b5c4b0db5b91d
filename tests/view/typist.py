"""A person who types prose while a window appears in front, does not look up, and so answers by accident or not."""

import math
from random import Random

from tests.view.painted_state import PaintedState
from tests.view.sample_prompts import prompt_of
from tinysnitch.view.key_piece import KeyPiece, TypedKey
from tinysnitch.view.prompt_events import Answers, KeyPressed, QuestionOpened
from tinysnitch.view.prompt_state import PromptState

PROSE = (
    "the quick brown fox jumps over the lazy dog and then many of the others may decide that only one day in nine is "
    "needed to finish the long poem, which nobody had read until yesterday when a young man found it under old paper. "
)
UNSEEN_S = (1.5, 3.5)  # after so long the person looks up
THINKS = 0.1  # the share of words before which the person thinks for a moment
THINKS_S = (0.3, 0.9)


def count_accidents(gap_s: float, windows: int) -> int:
    """How many windows are answered by a person whose keys are so far apart. The same with each call."""
    chance = Random(1)
    return sum(_is_answered(chance, gap_s) for _ in range(windows))


def _is_answered(chance: Random, gap_s: float) -> bool:
    state, piece = PaintedState(), KeyPiece()
    state.guard.note_appeared()
    state.handle(QuestionOpened(prompt_of(1)), 0.0)
    now, due_s, at = chance.uniform(0, gap_s), math.inf, chance.randrange(len(PROSE))
    until_s = chance.uniform(*UNSEEN_S)
    while now < until_s:
        ended = piece.end(due_s) if due_s <= now else []
        letter = PROSE[at % len(PROSE)]
        if _answers(state, [*ended, *piece.press(KeyPressed(letter), now, state)]):
            return True
        wait_s = piece.wait(now)
        due_s = math.inf if wait_s is None else now + wait_s
        thinks_s = chance.uniform(*THINKS_S) if letter == " " and chance.random() < THINKS else 0.0
        now, at = now + gap_s * chance.lognormvariate(0, 0.4) + thinks_s, at + 1
    return False


def _answers(state: PromptState, keys: list[TypedKey]) -> bool:
    return any(isinstance(state.handle(one.key, one.typed_s), Answers) for one in keys)
