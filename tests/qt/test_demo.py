from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice
from tinysnitch.qt.demo import SAMPLES, Demo, find_sample_file, sample_prompt
from tinysnitch.view.prompt_events import Answer, Answers, Event, QuestionClosed, QuestionOpened

CHOICE = Choice(verdict=Verdict.DENY)


def test_it_ends_when_all_is_answered() -> None:
    told: list[Event] = []
    ended: list[bool] = []
    demo = Demo(told.append, lambda: ended.append(True))
    demo.start()
    ids = [event.prompt.prompt_id for event in told if isinstance(event, QuestionOpened)]
    assert len(ids) == len(SAMPLES)
    demo.answer(Answers((Answer(ids[0], CHOICE),)))
    assert told[-1] == QuestionClosed(ids[0], "answered")
    assert not ended
    demo.answer(Answers(tuple(Answer(prompt_id, CHOICE) for prompt_id in ids[1:])))
    assert ended == [True]


def test_the_samples_are_proposed_as_the_daemon_does() -> None:
    is_for_any_args = {name: sample_prompt(1, each).proposal.any_args for name, each in SAMPLES.items()}
    assert [name for name, is_any in is_for_any_args.items() if not is_any] == ["one-liner", "unknown"]


def test_the_files_of_the_samples_are_known() -> None:
    processes = [each.attribution.process for each in SAMPLES.values() if each.attribution.process]
    assert any(find_sample_file(process).package for process in processes)
