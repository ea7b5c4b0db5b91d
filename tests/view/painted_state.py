"""A prompt's state on a screen that paints at once, and has room for any list.

It is 2023-11-14, and the clock of `handle` begins now."""

from tinysnitch.view.key_guard import DELAY_S
from tinysnitch.view.prompt_events import Effect, Event, KeepQuestions, ListSized
from tinysnitch.view.prompt_state import PromptState


class PaintedState(PromptState):
    def __init__(self, delay_s: float | None = DELAY_S, *, is_guest: bool = False) -> None:
        super().__init__(delay_s, is_guest=is_guest)
        self.kept: list[tuple[float, tuple[int, ...]]] = []
        self.wall_ahead_s = 1_700_000_000.0
        super().handle(ListSized(76, 1000), 0.0)

    def handle(self, event: Event, now: float) -> Effect | None:
        """What a key asks for; that it renews a question's time is noted in `kept` instead."""
        effect = super().handle(event, now)
        self.guard.note_painted(now)
        if isinstance(effect, KeepQuestions):
            self.kept.append((now, effect.prompt_ids))
            return None
        return effect
