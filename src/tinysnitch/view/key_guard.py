"""When a key counts: the one place that keeps a question from being answered by accident. All prompts go by it.

1. What comes into sight takes no key until it has been there for `delay_s`. Painting takes its time: it is in sight
   once `note_painted` says so. Where nothing ran at its end, as on a machine that its host gave no processor, it begins
   anew: what was typed meanwhile is read only then.
2. Whoever is typing when it comes, and types on, does not mean it: keys count once the typing pauses, or once nothing
   but keys of ours has come for long. A key that is not ours belongs to a text, whenever it comes: keys then count
   again only after a longer pause.
3. A key that answered, or began to edit, must be let go before it counts again: a held key repeats, and repeats are
   ignored.
4. A window that appears takes no key at all, be it one to leave, until its first question takes some. When the keyboard
   comes to it from whoever types elsewhere, keys wait as long once more; clicks do not.
5. An Enter that comes at once behind a text was pasted with it. What else comes at once: see key_piece.py.

Without a delay every key counts at once. Times are seconds on any one clock that does not step back; those of keys say
when they were typed.
"""

import math

DELAY_S = 0.5
HELD_FIRST_S = 0.8  # keyboards start to repeat a held key after 0.25 to 0.66 s
HELD_NEXT_S = 0.2  # and go on at 10 to 50 a second
TYPING_S = 0.25  # between two keys of somebody who types a text: 48 words a minute
TYPING_DELAYS = 4  # times the delay, then keys count even for somebody who still types
TEXT_S = 1.0  # after a letter of a text: while looking for the next key one does not see what is asked
PASTED_S = 0.03  # nobody types faster
LATE_S = 0.25  # that a machine with other things to do may be


class KeyGuard:
    def __init__(self, delay_s: float = DELAY_S) -> None:
        self.delay_s = delay_s
        self.sight = 0  # one more with each that counts as new
        self._seen_s = 0.0  # when it was painted
        self._ready_s = 0.0  # when it takes keys; endless until it is painted
        self._keyboard_s = -math.inf  # until then what is typed may be meant for where the keyboard was before
        self._text_until_s = -math.inf  # a text that somebody types goes on until then, whatever comes into sight
        self._is_awake = True  # we ran when it became ready
        self._is_deaf = False  # the window appeared, and no key counted since
        self._used_key = ""  # the last key that answered, or began to edit
        self._held_until_s = 0.0
        self._edited_s = -math.inf

    def is_ready(self, now: float) -> bool:
        """Whether what is in sight takes keys."""
        return now >= max(self._ready_s, self._keyboard_s)

    def is_seen(self, now: float) -> bool:
        """Whether what is in sight has been there for long enough to be answered, by what `is_deaf` lets through."""
        return now >= self._ready_s

    def is_deaf(self, now: float, *, is_click: bool = False) -> bool:
        """Whether no key at all counts."""
        self._is_deaf = self._is_deaf and not self.is_seen(now)
        return self._is_deaf or (now < self._keyboard_s and not is_click)

    @property
    def ready_s(self) -> float | None:
        """When keys begin to count; None until what is in sight is painted."""
        return max(self._ready_s, self._keyboard_s) if self._ready_s < math.inf else None

    def renew(self, now: float) -> None:
        """What is in sight counts as new: from here on its delay runs."""
        self.sight += 1
        self._is_awake = False
        self._ready_s = math.inf if self.delay_s > 0 else self._ready_after(now)

    def note_painted(self, now: float) -> None:
        """What is to be seen now is on the screen."""
        if self._ready_s == math.inf:
            self._seen_s, self._ready_s = now, self._ready_after(now)

    def note_awake(self, now: float) -> None:
        """We run. To be told when keys begin to count, and before each key. The delay begins anew once for each sight:
        a machine that is always late would take no key at all.
        """
        late_s = now - max(self._ready_s, self._keyboard_s)
        if late_s >= 0 and not self._is_awake and self.delay_s > 0:
            self._is_awake = True
            if late_s > LATE_S:
                self._ready_s = now + self.delay_s

    def _ready_after(self, now: float) -> float:
        return max(now + self.delay_s, self._text_until_s)

    def note_appeared(self) -> None:
        """The window was not there before."""
        self._is_deaf = True

    def note_keyboard(self, now: float) -> None:
        """The keyboard came to the window."""
        self._keyboard_s = now + self.delay_s
        self._is_awake = False

    def note_typing(self, now: float, *, is_text: bool = False) -> None:
        """A key came too early, or is not ours: the next ones may belong to the same text."""
        longest_s = TYPING_DELAYS * self.delay_s
        until_s = now + min(TEXT_S, longest_s) if is_text else min(now + TYPING_S, self._seen_s + longest_s)
        self._ready_s = max(self._ready_s, until_s)
        if is_text:
            self._text_until_s = until_s

    def note_used(self, name: str, now: float) -> None:
        self._used_key, self._held_until_s = name, now + HELD_FIRST_S

    def is_held(self, name: str, now: float) -> bool:
        """Whether this is a repeat of the key that was used; a repeat prolongs the wait for its release."""
        if self.delay_s <= 0 or name != self._used_key or now >= self._held_until_s:
            return False
        self._held_until_s = max(self._held_until_s, now + HELD_NEXT_S)
        return True

    def note_edited(self, now: float) -> None:
        """Something was typed or pasted into a line."""
        self._edited_s = now

    def is_pasted(self, now: float) -> bool:
        """Whether the Enter of this moment came with the text before it."""
        return now - self._edited_s < PASTED_S
