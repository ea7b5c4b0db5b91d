"""Tells a pasted text from typed keys, where nothing marks a paste, before keys reach a prompt's state.

GNU screen, a console and programs that type passwords send a text as keys, faster than anybody types. But a terminal
that sends whole lines, or a slow line, also brings the keys of a person together. So keys that come at once are held as
one piece until no more follow, and then count, or are dropped as a text. An answer waits for longer: `npm`, typed by a
person in the wrong window, must not deny. On a busy machine we may be woken late: then more keys may wait that we have
not read, so the piece is not over yet.
"""

import math

import msgspec

from tinysnitch.core.model.verdict import Verdict
from tinysnitch.view.key_guard import ANSWER_S, PASTED_S
from tinysnitch.view.keys import Act, find_key, find_list_act, is_answer, is_chord
from tinysnitch.view.prompt_events import KeyPressed
from tinysnitch.view.prompt_state import Page, PromptState

MAX_KEYS = 20  # of one piece; more are a text
SLACK_S = 0.01  # how late we may be woken


class TypedKey(msgspec.Struct, frozen=True):
    key: KeyPressed
    typed_s: float


class KeyPiece:
    def __init__(self) -> None:
        self._keys: list[TypedKey] = []  # the piece so far
        self._is_text = False  # the piece is a text: all that still comes with it is dropped
        self._last_s = -math.inf
        self._due_s = math.inf  # when `end` is to be called
        self._was_late = False  # `end` was called too late once

    @property
    def holds_keys(self) -> bool:
        """Whether keys were typed of which it is not known yet if they count."""
        return bool(self._keys)

    def wait(self, now: float) -> float | None:
        """How long the caller must wait for what comes with the keys, before it calls `end`; None: none wait."""
        self._due_s = now + self._gap_s
        return self._gap_s if self._keys else None

    @property
    def _gap_s(self) -> float:
        """The longest time between two keys of the piece."""
        return ANSWER_S if any(is_answer(one.key.name) for one in self._keys) else PASTED_S

    def press(self, key: KeyPressed, typed_s: float, state: PromptState) -> list[TypedKey]:
        """Take a key that was typed, and return the keys that count now, in order."""
        is_open = typed_s - self._last_s < self._gap_s and (self._is_text or bool(self._keys))
        if not _may_be_pasted(key, typed_s, state, is_open=is_open):
            return [*self.take(), TypedKey(key, typed_s)]
        passed = [] if is_open else self.take()
        self._last_s = typed_s
        self._keys.append(TypedKey(key, typed_s))
        self._is_text = self._is_text or len(self._keys) > MAX_KEYS or is_text([one.key.name for one in self._keys])
        if self._is_text:
            self._keys.clear()
            state.guard.note_typing(typed_s, is_text=True)
        return passed

    def end(self, now: float) -> list[TypedKey]:
        """The keys of the piece, if it is over: no more came with them. If this is called too late they wait once more;
        not again and again, since on a machine that is always late no key would ever count."""
        if now - self._due_s > SLACK_S and not self._was_late:
            self._was_late = True
            return []
        return self.take()

    def take(self) -> list[TypedKey]:
        """The keys of the piece, which is over since something else came."""
        keys, self._keys, self._is_text, self._was_late = self._keys, [], False, False
        return keys


def _may_be_pasted(key: KeyPressed, typed_s: float, state: PromptState, *, is_open: bool) -> bool:
    """Whether the key must wait for what comes with it. It need not if the delay is 0, since then every key counts; nor
    where no key answers; nor if it walks to another question, since such keys may repeat."""
    if key.is_click or is_chord(key.name) or state.guard.delay_s <= 0:
        return False
    is_asked = state.takes_answers and state.page is Page.QUESTION
    return is_asked and (is_open or (state.guard.is_ready(typed_s) and not _is_step(key, state)))


def _is_step(key: KeyPressed, state: PromptState) -> bool:
    """Whether it walks to another question, or is a key of the list, none of which answers."""
    found = find_key(key.name)
    is_in_list = state.group is not None and find_list_act(key.name) is not None
    return is_in_list or (found is not None and found.effect in (Act.NEXT, Act.PREVIOUS))


def is_text(names: list[str]) -> bool:
    """Whether keys that came at once are a text: if one of them is no key of ours, or if any but `leave` follows an
    answer, since a person would first look at the next question. Terminals that send whole lines end them with Enter.
    """
    while names and names[-1] == "enter":
        names = names[:-1]
    effects = [key.effect if (key := find_key(name)) else None for name in names]
    answers = [at for at, effect in enumerate(effects) if isinstance(effect, Verdict)]
    behind = effects[answers[0] + 1 :] if answers else []
    return len(names) > 1 and (None in effects or any(effect is not Act.LEAVE for effect in behind))
