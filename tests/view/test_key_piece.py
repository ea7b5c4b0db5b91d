import pytest

from tests.view.painted_state import PaintedState
from tests.view.sample_prompts import prompt_of
from tests.view.typist import count_accidents
from tinysnitch.view.key_guard import ANSWER_S, DELAY_S, PASTED_S, TEXT_S
from tinysnitch.view.key_piece import SLACK_S, KeyPiece, is_text
from tinysnitch.view.prompt_events import KeyPressed, QuestionOpened
from tinysnitch.view.prompt_state import PromptState

START_S = 10.0
PAUSE_S = 2 * PASTED_S
NAMES = {"\n": "enter", "\t": "tab", "^": "ctrl+c"}


def asked(delay_s: float = DELAY_S) -> PromptState:
    state = PaintedState(delay_s)
    state.handle(QuestionOpened(prompt_of(1)), 0.0)
    return state


def keys_of(text: str) -> list[KeyPressed]:
    return [KeyPressed(NAMES.get(letter, letter)) for letter in text]


def passed(state: PromptState, *pieces: str) -> list[str]:
    """The keys that count of pieces, each of which comes at once, with a pause after it."""
    piece, counted = KeyPiece(), []
    for number, text in enumerate(pieces):
        taken = [one for key in keys_of(text) for one in piece.press(key, START_S + number * PAUSE_S, state)]
        taken += piece.take()
        assert {one.typed_s for one in taken} <= {START_S + number * PAUSE_S}
        counted.append("".join(one.key.name for one in taken))
    return counted


@pytest.mark.parametrize(
    ("pieces", "counted"),
    [
        (["y"], ["y"]),
        (["f", "y"], ["f", "y"]),
        (["fy"], ["fy"]),
        (["yq"], ["yq"]),
        (["y\n"], ["yenter"]),
        (["python"], [""]),
        (["any"], [""]),
        (["yes", "f"], ["", "f"]),
        (["f" * 30], [""]),
        (["fy^"], ["fyctrl+c"]),
    ],
)
def test_what_comes_at_once_is_keys_or_a_text(pieces: list[str], counted: list[str]) -> None:
    assert passed(asked(), *pieces) == counted


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("fy", False),
        ("dpjy", False),
        ("s", False),
        ("yq", False),
        ("fy\n\n", False),
        ("\n", False),
        ("yes\n", True),
        ("no", True),
        ("sy", True),
        ("yy", True),
        ("f\ny", True),
    ],
)
def test_a_text_is_what_holds_no_keys_or_goes_on_behind_an_answer(names: str, expected: bool) -> None:
    assert is_text([key.name for key in keys_of(names)]) is expected


def test_a_key_waits_for_what_comes_with_it() -> None:
    state, piece = asked(), KeyPiece()
    assert piece.press(KeyPressed("f"), START_S, state) == []
    assert (piece.holds_keys, piece.wait(START_S)) == (True, PASTED_S)
    assert [one.key.name for one in piece.press(KeyPressed("y"), START_S + PAUSE_S, state)] == ["f"]
    assert piece.wait(START_S + PAUSE_S) == ANSWER_S
    assert [one.key.name for one in piece.end(START_S + PAUSE_S + ANSWER_S)] == ["y"]
    assert (piece.holds_keys, piece.wait(START_S)) == (False, None)


@pytest.mark.parametrize("text", ["yes", "npm", "nano", "no", "you"])
def test_a_text_that_a_person_types_does_not_begin_with_an_answer(text: str) -> None:
    state, piece = asked(), KeyPiece()
    for number, key in enumerate(keys_of(text)):
        typed_s = START_S + number * ANSWER_S * 0.9
        assert [one for one in piece.press(key, typed_s, state) if state.handle(one.key, one.typed_s)] == []
    assert not piece.holds_keys


@pytest.mark.parametrize(("gap_s", "most"), [(0.12, 0), (0.24, 20)])  # a good typist, and an average one
def test_who_types_while_a_window_appears_answers_next_to_never(gap_s: float, most: int) -> None:
    assert count_accidents(gap_s, windows=1000) <= most


def test_who_is_woken_late_waits_once_more_for_keys_that_were_not_read_yet() -> None:
    state, piece = asked(), KeyPiece()
    assert piece.press(KeyPressed("y"), START_S, state) == []
    piece.wait(START_S)
    assert piece.end(START_S + ANSWER_S + 2 * SLACK_S) == []
    for number, letter in enumerate("es", 1):
        assert piece.press(KeyPressed(letter), START_S + PASTED_S * 0.9 * number, state) == []
    assert not piece.holds_keys


def test_a_machine_that_is_always_late_takes_keys() -> None:
    state, piece = asked(), KeyPiece()
    for _question in range(2):
        piece.press(KeyPressed("y"), START_S, state)
        late = [piece.wait(START_S) and piece.end(START_S + 1.0) for _ in range(2)]
        assert [one.key.name for taken in late for one in taken or []] == ["y"]


def test_behind_a_text_no_key_counts_for_a_while() -> None:
    state = asked()
    assert passed(state, "yes") == [""]
    assert state.next_change_s() == START_S + TEXT_S


def test_a_text_goes_on_as_long_as_there_is_no_pause() -> None:
    state, piece = asked(), KeyPiece()
    for number in range(1000):
        assert piece.press(KeyPressed("y"), START_S + number * PASTED_S * 0.9, state) == []
    assert piece.take() == []


def test_keys_to_walk_with_repeat_and_are_not_waited_for() -> None:
    state, piece = asked(), KeyPiece()
    for number in range(10):
        assert len(piece.press(KeyPressed("tab"), START_S + number * 0.02, state)) == 1
    assert not piece.holds_keys


def test_a_click_is_no_letter_of_a_text() -> None:
    state, piece = asked(), KeyPiece()
    for _ in range(2):
        assert len(piece.press(KeyPressed("y", is_click=True), START_S, state)) == 1


def test_what_was_typed_before_a_click_comes_before_it() -> None:
    state, piece = asked(), KeyPiece()
    piece.press(KeyPressed("f"), START_S, state)
    taken = piece.press(KeyPressed("y", is_click=True), START_S, state)
    assert [one.key.name for one in taken] == ["f", "y"]


def test_without_a_delay_all_keys_of_one_piece_count() -> None:
    assert passed(asked(delay_s=0.0), "yes\n") == ["yesenter"]


def test_where_nothing_is_asked_no_key_waits() -> None:
    assert passed(PaintedState(), "yyh") == ["yyh"]


@pytest.mark.parametrize("key", ["h", "e"])
def test_in_the_help_and_the_editor_no_key_waits(key: str) -> None:
    state = asked()
    state.handle(KeyPressed(key), 5.0)
    assert passed(state, "any text\n") == ["any textenter"]


def test_before_keys_count_none_waits() -> None:
    state = PaintedState()
    state.handle(QuestionOpened(prompt_of(1)), START_S - 0.1)
    assert passed(state, "yes") == ["yes"]
