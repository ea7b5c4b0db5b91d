"""A prompt's state on a screen that paints at once."""

from tinysnitch.view.prompt_events import Effect, Event
from tinysnitch.view.prompt_state import PromptState


class PaintedState(PromptState):
    def handle(self, event: Event, now: float) -> Effect:
        effect = super().handle(event, now)
        self.guard.note_painted(now)
        return effect
