"""An open question as one window holds it."""

import msgspec

from tinysnitch.core.choice import Choice
from tinysnitch.core.prompt import Prompt
from tinysnitch.view.answer_words import name_lifetime, name_lifetime_of_line
from tinysnitch.view.prompt_events import Answer


class OpenQuestion(msgspec.Struct, frozen=True):
    prompt: Prompt
    deadline_s: float
    opened_s: float
    choice: Choice
    is_aside: bool = False  # put off with Esc
    is_sent: bool = False  # answered here, not yet confirmed
    draft: str = ""  # the edited line that was refused

    def answer(self, choice: Choice, is_guest: bool = False) -> Answer:
        return Answer(self.prompt.prompt_id, choice, holds=name_lifetime(self.prompt.connection, choice, is_guest))

    def answer_by_hand(self, rule: str, is_guest: bool = False) -> Answer:
        return Answer(self.prompt.prompt_id, None, rule, name_lifetime_of_line(rule, is_guest))
