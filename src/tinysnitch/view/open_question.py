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
    first: Choice  # before anyone chose
    is_aside: bool = False  # put off with Esc
    is_sent: bool = False  # answered here, not yet confirmed
    draft: str = ""  # the edited line that was refused

    def follow(self, leader: "OpenQuestion") -> Choice:
        """What is chosen for both: the leader's as far as somebody chose it, else what this one begins with."""
        of_leader = ((field, getattr(leader.choice, field)) for field in Choice.__struct_fields__)
        chosen = {field: value for field, value in of_leader if value != getattr(leader.first, field)}
        return msgspec.structs.replace(self.first, **chosen)

    def answer(self, choice: Choice, is_guest: bool = False) -> Answer:
        return Answer(self.prompt.prompt_id, choice, holds=name_lifetime(self.prompt.connection, choice, is_guest))

    def answer_by_hand(self, rule: str, is_guest: bool = False) -> Answer:
        return Answer(self.prompt.prompt_id, None, rule, name_lifetime_of_line(rule, is_guest))
