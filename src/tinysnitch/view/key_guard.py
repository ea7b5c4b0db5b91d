"""When a key counts: the one place that keeps a question from being answered by accident. All prompts use it.

1. A new sight (a question, or a page) takes no key until it has been on the screen for `delay_s`, counted from
   `note_painted`. If our process did not run when that time ended (its virtual machine got no processor), the delay
   begins anew: keys typed meanwhile are read only then.
2. A person who is typing when a question comes, and types on, does not mean the question: keys count once the typing
   pauses, or once only keys of ours have come for TYPING_DELAYS times the delay. A key that is not ours belongs to a
   text, whenever it comes: then keys count again only after a longer pause.
3. A key that answered, or began to edit, must be released before it counts again: a held key repeats, and the repeats
   are ignored.
4. A window that appears, or a prompt that takes the terminal from a command, takes no key at all, not even to leave,
   until its first question takes keys. Whoever types then, but for an early answer, does not mean the question: keys
   wait as after a letter of a text, within the limit of 2. When the window gets the keyboard focus, keys wait for one
   more delay; clicks do not wait.
5. A key that is pressed on another page than that of the questions must be released, too, before it counts there.
6. An Enter that comes at once after a text was pasted with it. Other keys that come at once: see key_piece.py.

With a delay of 0 every key counts at once. Times are seconds on one clock that does not step back; those of keys say
when they were typed.
"""

import math

DELAY_S = 0.5
HELD_FIRST_S = 0.8  # keyboards start to repeat a held key after 0.25 to 0.66 s
HELD_NEXT_S = 0.2  # and then repeat it 10 to 50 times a second
TYPING_S = 0.25  # the longest time between two keys of a person who types a text: 48 words a minute
TYPING_DELAYS = 4  # after so many delays keys count, even if the person still types
TEXT_S = 1.0  # no key counts so long after a letter of a text: who looks at the keyboard does not see the question
PASTED_S = 0.05  # keys that follow each other faster than anybody types
ANSWER_S = 0.2  # an answer must be followed by no key for so long; a held key repeats later
LATE_S = 0.25  # how late a busy machine may wake us


class KeyGuard:
    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self.sight = 0  # number of the sight, counted up with each new one
        self._seen_s = 0.0  # when the sight was painted
        self._ready_s = 0.0  # when it takes keys; infinite until it is painted
        self._keyboard_s = -math.inf  # until then keys may be meant for the window that had the keyboard before
        self._text_until_s = -math.inf  # until then a person types a text, whatever sight comes meanwhile
        self._is_awake = True  # our process ran when keys began to count
        self._is_deaf = False  # the window appeared, and its first question takes no keys yet
        self._used_key = ""  # the last key that answered, or began to edit
        self._held_until_s = 0.0
        self._edited_s = -math.inf

    def is_ready(self, now: float) -> bool:
        """Whether the sight takes keys."""
        return now >= max(self._ready_s, self._keyboard_s)

    def is_seen(self, now: float) -> bool:
        """Whether the sight has been there for long enough to be answered. Keys must also pass `is_deaf`."""
        return now >= self._ready_s

    def is_deaf(self, now: float, *, is_click: bool = False) -> bool:
        """Whether no key at all counts, not even one to leave."""
        self._is_deaf = self._is_deaf and not self.is_seen(now)
        return self._is_deaf or (now < self._keyboard_s and not is_click)

    def is_text(self, now: float) -> bool:
        """Whether a person types a text, so that this key may be a letter of it."""
        return now < self._text_until_s

    @property
    def is_painted(self) -> bool:
        """Whether the sight is on the screen; with a delay of 0 it is as soon as it begins."""
        return self._ready_s < math.inf

    @property
    def ready_s(self) -> float | None:
        """When keys begin to count; None until the sight is painted."""
        return max(self._ready_s, self._keyboard_s) if self._ready_s < math.inf else None

    def renew(self, now: float) -> None:
        """A new sight begins, which takes no key until it is painted and its delay is over."""
        self.sight += 1
        self._is_awake = False
        self._ready_s = math.inf if self.delay_s > 0 else self._ready_after(now)

    def note_painted(self, now: float) -> None:
        """The sight is on the screen: its delay begins, unless it did before."""
        if self._ready_s == math.inf:
            self._seen_s, self._ready_s = now, self._ready_after(now)

    def note_awake(self, now: float) -> None:
        """Our process runs. To be called when keys begin to count, and before each key. If we are too late, the delay
        begins anew, but only once for each sight: on a machine that is always late no key would ever count.
        """
        late_s = now - max(self._ready_s, self._keyboard_s)
        if late_s >= 0 and not self._is_awake and self.delay_s > 0:
            self._is_awake = True
            if late_s > LATE_S:
                self._ready_s = now + self.delay_s

    def _ready_after(self, now: float) -> float:
        return max(now + self.delay_s, self._text_until_s)

    def note_appeared(self) -> None:
        """The window was hidden, and is shown now; or the terminal was a command's until now."""
        self._is_deaf = True

    def note_keyboard(self, now: float) -> None:
        """The window got the keyboard focus."""
        self._keyboard_s = now + self.delay_s
        self._is_awake = False

    def note_click(self, now: float) -> None:
        """The window was clicked beside its keys: if its sight was there for long enough, keys do not wait until the
        keyboard was there for as long."""
        if self.is_seen(now):
            self._keyboard_s = -math.inf

    def note_typing(self, now: float, *, is_text: bool = False, is_answer: bool = False) -> None:
        """A key came too early, or is not ours (`is_text`): the next keys may belong to the same text. An early answer
        may be that of a person who expected the question, and is about to press it again."""
        longest_s = TYPING_DELAYS * self.delay_s
        pause_s = TEXT_S if self._is_deaf and not is_answer else TYPING_S
        until_s = now + min(TEXT_S, longest_s) if is_text else min(now + pause_s, self._seen_s + longest_s)
        self._ready_s = max(self._ready_s, until_s)
        if is_text:
            self._text_until_s = until_s

    def note_used(self, name: str, now: float) -> None:
        self._used_key, self._held_until_s = name, now + HELD_FIRST_S

    def note_elsewhere(self, name: str, now: float) -> None:
        """A key was pressed while another page was in sight."""
        if not self.is_held(name, now):
            self.note_used(name, now)

    def is_held(self, name: str, now: float) -> bool:
        """Whether this is a repeat of the key that was used, which is still held. A repeat prolongs the wait for its
        release."""
        if self.delay_s <= 0 or name != self._used_key or now >= self._held_until_s:
            return False
        self._held_until_s = max(self._held_until_s, now + HELD_NEXT_S)
        return True

    def note_edited(self, now: float) -> None:
        """Something was typed or pasted into a line."""
        self._edited_s = now

    def is_pasted(self, now: float) -> bool:
        """Whether an Enter that comes now was pasted with the text before it."""
        return now - self._edited_s < PASTED_S
