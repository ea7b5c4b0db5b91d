"""The state of one prompt window: events and the moment go in, what to do comes out.

1. A question takes no key until it has been in sight for `delay_s`; walking to it, or closing the help, counts as new.
2. The choice belongs to its question: one that vanishes takes its choice, and the keys meant for it, along.
3. A key that answered must be let go before it answers again: a held key repeats, and repeats are ignored.
4. An answer is sent once; the question is gone when the daemon says so, and is back when the daemon shows it again
   (some connections of a `once` may go on waiting) or refuses.

Times are seconds on any one clock that does not step back.
"""

from collections.abc import Mapping
from enum import Enum
from typing import assert_never

import msgspec

from tinysnitch.core.choice import Choice, Lifetime, RemoteScope
from tinysnitch.core.prompt import Prompt
from tinysnitch.core.verdict import Verdict
from tinysnitch.view.connection_view import present_title
from tinysnitch.view.keys import Act, find_key

DELAY_S = 0.5
HELD_FIRST_S = 0.8  # keyboards start to repeat a held key after 0.25 to 0.66 s
HELD_NEXT_S = 0.2  # and go on at 10 to 50 a second


class QuestionOpened(msgspec.Struct, frozen=True):
    """A question, or the same one again with another count."""

    prompt: Prompt


class QuestionClosed(msgspec.Struct, frozen=True):
    prompt_id: int
    reason: str


class AnswerRefused(msgspec.Struct, frozen=True):
    """The daemon did not take our answer."""

    prompt_id: int
    reason: str


class ConnectionLost(msgspec.Struct, frozen=True):
    """The daemon is gone, and its questions with it as far as we can know."""

    reason: str


class DaemonGreeted(msgspec.Struct, frozen=True):
    """The daemon is there; its open questions follow."""

    rule_count: int | None


class RulesCounted(msgspec.Struct, frozen=True):
    rule_count: int


class NoticeGiven(msgspec.Struct, frozen=True):
    """The daemon has something to say: rules that did not load."""

    text: str


class KeyPressed(msgspec.Struct, frozen=True):
    name: str  # see view/keys.py


Event = (
    QuestionOpened
    | QuestionClosed
    | AnswerRefused
    | ConnectionLost
    | DaemonGreeted
    | RulesCounted
    | NoticeGiven
    | KeyPressed
)


class Answer(msgspec.Struct, frozen=True):
    prompt_id: int
    choice: Choice


class Leave(msgspec.Struct, frozen=True):
    """End the prompt; questions stay open."""


class Nothing(msgspec.Struct, frozen=True):
    """Only show the state again."""


Effect = Answer | Leave | Nothing
NOTHING = Nothing()


class Page(Enum):
    QUESTION = "question"
    HELP = "help"
    LEGEND = "legend"


class Question(msgspec.Struct, frozen=True):
    """An open question as this window holds it."""

    prompt: Prompt
    deadline_s: float
    choice: Choice = Choice(verdict=Verdict.ALLOW)  # the verdict comes with the answering key
    is_aside: bool = False  # put off with Esc
    is_sent: bool = False  # answered here, not yet confirmed


_NEXT_SCOPE = {
    RemoteScope.NAME: RemoteScope.DOMAIN,
    RemoteScope.DOMAIN: RemoteScope.ANY,
    RemoteScope.ANY: RemoteScope.NAME,
}


class PromptState:
    def __init__(self, delay_s: float = DELAY_S) -> None:
        self.delay_s = delay_s
        self.page = Page.QUESTION
        self.notice = ""  # what became of the last question, or what went wrong
        self.is_connected = False
        self.rule_count: int | None = None
        self._questions: dict[int, Question] = {}  # in the order they opened
        self._selected_id: int | None = None
        self._ready_s = 0.0  # when the selected question takes keys
        self._answer_key = ""  # the last y or n that did something or was ignored as its repeat
        self._held_until_s = 0.0

    @property
    def questions(self) -> Mapping[int, Question]:
        return self._questions

    @property
    def selected(self) -> Question | None:
        """The question in sight."""
        return self._questions.get(self._selected_id) if self._selected_id is not None else None

    @property
    def position(self) -> int:
        """Place of the selected question among those that wait, from 1."""
        return list(self._questions).index(self._selected_id) + 1 if self._selected_id in self._questions else 0

    def is_ready(self, now: float) -> bool:
        """Whether the question in sight takes keys."""
        return now >= self._ready_s

    def next_change_s(self) -> float | None:
        """When the delay of the question in sight ends; None with none in sight."""
        return self._ready_s if self.selected else None

    def handle(self, event: Event, now: float) -> Effect:
        match event:
            case KeyPressed(name):
                return self._press(name, now)
            case QuestionOpened(prompt):
                self._open(prompt, now)
            case QuestionClosed(prompt_id, reason):
                self._close(prompt_id, reason, now)
            case AnswerRefused(prompt_id, reason):
                self._refuse(prompt_id, reason, now)
            case ConnectionLost(reason):
                self._lose_daemon(reason)
            case DaemonGreeted(rule_count):
                self.is_connected, self.rule_count, self.notice = True, rule_count, ""
            case RulesCounted(rule_count):
                self.rule_count = rule_count
            case NoticeGiven(text):
                self.notice = text
            case _:
                assert_never(event)
        return NOTHING

    def _open(self, prompt: Prompt, now: float) -> None:
        known = self._questions.get(prompt.prompt_id)
        deadline_s = now + prompt.remaining_s
        if known and known.prompt.connection == prompt.connection and not known.is_sent:
            self._questions[prompt.prompt_id] = msgspec.structs.replace(known, prompt=prompt, deadline_s=deadline_s)
            return
        self._questions[prompt.prompt_id] = Question(prompt, deadline_s)
        if self.selected is None or prompt.prompt_id == self._selected_id:
            self._select(prompt.prompt_id, now)

    def _close(self, prompt_id: int, reason: str, now: float) -> None:
        question = self._questions.pop(prompt_id, None)
        if question is None:
            return
        if not question.is_sent:  # of our own answer we are told more
            self.notice = f"{present_title(question.prompt.connection)}: {reason}"
        if prompt_id == self._selected_id:
            self._select(self._first_waiting(), now)

    def _refuse(self, prompt_id: int, reason: str, now: float) -> None:
        self.notice = reason
        question = self._questions.get(prompt_id)
        if question:
            self._questions[prompt_id] = msgspec.structs.replace(question, is_sent=False)
            self._select(prompt_id, now)

    def _lose_daemon(self, reason: str) -> None:
        self.is_connected, self.notice, self.page = False, reason, Page.QUESTION
        self._questions.clear()
        self._selected_id = None

    def _select(self, prompt_id: int | None, now: float) -> None:
        """Bring a question into sight: from here on its delay runs."""
        self._selected_id = prompt_id
        self._ready_s = now + self.delay_s

    def _first_waiting(self) -> int | None:
        """The oldest question that is neither put aside nor answered."""
        return next((i for i, q in self._questions.items() if not q.is_aside and not q.is_sent), None)

    def _press(self, name: str, now: float) -> Effect:
        key = find_key(name)
        if key and key.effect is Act.LEAVE:
            return Leave()
        if self.page is not Page.QUESTION:  # any key closes the help and does nothing else
            self.page = Page.QUESTION
            self._ready_s = now + self.delay_s
            return NOTHING
        if key is None:
            return NOTHING
        if isinstance(key.effect, Verdict):
            return self._answer(name, key.effect, now)
        if isinstance(key.effect, Lifetime):
            self._choose(now, lifetime=key.effect)
        else:
            self._act(key.effect, now)
        return NOTHING

    def _answer(self, name: str, verdict: Verdict, now: float) -> Effect:
        question = self.selected
        if self._is_held(name, now) or question is None or question.is_sent or not self.is_ready(now):
            return NOTHING
        prompt_id = question.prompt.prompt_id
        self._questions[prompt_id] = msgspec.structs.replace(question, is_sent=True)
        self._answer_key, self._held_until_s = name, now + HELD_FIRST_S
        self.notice = ""
        self._select(self._first_waiting(), now)
        return Answer(prompt_id, msgspec.structs.replace(question.choice, verdict=verdict))

    def _is_held(self, name: str, now: float) -> bool:
        """Whether this is a repeat of the key that answered; a repeat prolongs the wait for its release."""
        if self.delay_s <= 0 or name != self._answer_key or now >= self._held_until_s:
            return False
        self._held_until_s = max(self._held_until_s, now + HELD_NEXT_S)
        return True

    def _choose(self, now: float, **changes: object) -> None:
        question = self.selected
        if question is None or question.is_sent or not self.is_ready(now):
            return
        choice = msgspec.structs.replace(question.choice, **changes)
        self._questions[question.prompt.prompt_id] = msgspec.structs.replace(question, choice=choice)

    def _act(self, act: Act, now: float) -> None:
        match act:
            case Act.CYCLE_REMOTE | Act.TOGGLE_PORT | Act.THESE_ARGS | Act.ANY_ARGS:
                self._cover(act, now)
            case Act.NEXT:
                self._walk(1, now)
            case Act.PREVIOUS:
                self._walk(-1, now)
            case Act.LATER:
                self._put_aside(now)
            case Act.HELP:
                self.page = Page.HELP
            case Act.LEGEND:
                self.page = Page.LEGEND
            case Act.LEAVE:
                pass  # `_press` has seen to it
            case _:
                assert_never(act)

    def _cover(self, act: Act, now: float) -> None:
        if self.selected is None:
            return
        choice = self.selected.choice
        if act is Act.CYCLE_REMOTE:
            self._choose(now, remote=_NEXT_SCOPE[choice.remote])
        elif act is Act.TOGGLE_PORT:
            self._choose(now, any_port=not choice.any_port)
        else:
            self._choose(now, any_args=act is Act.ANY_ARGS)

    def _walk(self, step: int, now: float) -> None:
        """To the next question around the ring, those put aside among them."""
        ring = [i for i, question in self._questions.items() if not question.is_sent]
        if not ring or ring == [self._selected_id]:
            return
        at = ring.index(self._selected_id) + step if self._selected_id in ring else 0
        self._select(ring[at % len(ring)], now)

    def _put_aside(self, now: float) -> None:
        question = self.selected
        if question is None or not self.is_ready(now):
            return
        self._questions[question.prompt.prompt_id] = msgspec.structs.replace(question, is_aside=True)
        self._select(self._first_waiting(), now)
