"""What is said of a question that nobody attached sees, and how often. The rest is in tests/lab/test_unseen.py."""

import asyncio

import pytest

from tinysnitch.daemon.control import unseen_prompts
from tinysnitch.daemon.control.unseen_prompts import AGAIN_S, GRACE_S, UnseenQuestions

TOLD = "a question waits, and nobody who may answer it is attached (hint: look here)"


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(unseen_prompts, "time", made)
    return made


def test_it_is_said_once_and_again_after_a_while_or_once_somebody_was_there(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    unseen = UnseenQuestions("look here")
    clock.now_s += GRACE_S
    for _ in range(3):
        unseen.note_unseen()
    assert caplog.messages == [TOLD]
    clock.now_s += AGAIN_S
    unseen.note_unseen()
    assert caplog.messages == [TOLD] * 2
    unseen.note_attached()
    unseen.note_unseen()
    assert caplog.messages == [TOLD] * 3


@pytest.mark.parametrize("attaches", [False, True])
def test_at_the_start_it_waits_for_whoever_is_about_to_attach(
    attaches: bool, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def begin() -> None:
        unseen = UnseenQuestions("look here")
        clock.now_s += GRACE_S - 0.01
        unseen.note_unseen()
        unseen.note_unseen()
        assert caplog.messages == []
        if attaches:
            unseen.note_attached()
        await asyncio.sleep(0.05)

    asyncio.run(begin())
    assert caplog.messages == ([] if attaches else [TOLD])
