from pathlib import Path

import pytest

from tests.tui.plain_stage import Person, ask, play
from tests.tui.question_daemon import QuestionDaemon
from tests.view.sample_prompts import connection_of, prompt_of
from tinysnitch.tui import further_prompts, plain_prompt
from tinysnitch.tui.further_prompts import PAUSE_S, FurtherQuestions
from tinysnitch.tui.terminal import Terminal
from tinysnitch.view.prompt_list import OpenQuestion, Questions

START_S = 10.0
ONE_MORE = "another question waits behind this one"


def put(questions: Questions, *numbers: int) -> None:
    for number in numbers:
        prompt = prompt_of(number)
        questions.put(OpenQuestion(prompt, 60.0, 0.0, prompt.proposal, prompt.proposal))


def asked(*numbers: int) -> tuple[Questions, FurtherQuestions]:
    """Some questions, of which the first was printed when all of them waited."""
    questions, further = Questions(), FurtherQuestions()
    put(questions, *numbers)
    further.note_asked(questions, START_S)
    return questions, further


def test_what_came_since_is_told_once() -> None:
    questions, further = asked(1, 2)
    assert further.tell(questions, START_S + PAUSE_S) == []
    put(questions, 3)
    assert further.tell(questions, START_S + PAUSE_S) == [ONE_MORE]
    assert further.tell(questions, START_S + 9 * PAUSE_S) == []


def test_what_comes_in_the_place_of_another_is_told() -> None:
    questions, further = asked(1, 2)
    questions.pop(2)
    put(questions, 3)
    assert further.tell(questions, START_S + PAUSE_S) == [ONE_MORE]


def test_many_that_come_together_are_one_line() -> None:
    questions, further = asked(1)
    put(questions, *range(2, 40))
    assert further.tell(questions, START_S + PAUSE_S / 2) == []
    put(questions, 40)
    assert further.tell(questions, START_S + PAUSE_S) == ["39 more questions wait behind this one"]
    put(questions, 41)
    assert further.tell(questions, START_S + PAUSE_S * 1.5) == []


def test_what_was_answered_does_not_wait() -> None:
    questions, further = asked(1)
    put(questions, 2)
    questions.change(2, is_sent=True)
    assert further.tell(questions, START_S + PAUSE_S) == []


@pytest.mark.parametrize("is_guest", [False, True])
def test_who_has_not_answered_yet_hears_that_more_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_guest: bool
) -> None:
    monkeypatch.setattr(further_prompts, "PAUSE_S", 0.05)
    monkeypatch.setattr(plain_prompt, "LOOK_S", 0.05)

    async def script(daemon: QuestionDaemon, person: Person) -> None:
        await ask(daemon, person)
        for number in (2, 3):
            daemon.open(prompt_of(number, connection_of(name="other.test")))
            await person.see(f"{ONE_MORE}\n")
        person.type("y")
        await person.see("question 1 of 2: curl wants to reach other.test\n")
        person.type("q")

    play(tmp_path, script, delay_s=0.05, is_guest=is_guest)


def test_who_is_to_answer_elsewhere_hears_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Terminal, "is_ours", False)

    async def script(daemon: QuestionDaemon, person: Person) -> None:
        daemon.open(prompt_of(1))
        await person.see("answer it in another terminal with\n")
        daemon.open(prompt_of(2, connection_of(name="other.test")))
        await person.see(f"{ONE_MORE}\n")

    play(tmp_path, script, is_guest=True)
