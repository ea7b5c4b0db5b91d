"""An open question, with what one prompt knows of it: the choice so far, and whether it was put aside or answered."""

import msgspec

from tinysnitch.core.prompts.choice import Choice
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.view.answer_words import name_lifetime, name_lifetime_of_line
from tinysnitch.view.prompt_events import Answer


class OpenQuestion(msgspec.Struct, frozen=True):
    prompt: Prompt
    deadline_s: float
    opened_s: float
    choice: Choice
    first: Choice  # the choice that the prompt proposed
    is_aside: bool = False  # put aside with Esc
    is_sent: bool = False  # answered here, and not yet closed by the daemon
    draft: str = ""  # the edited line that was sent: another edit begins with it, if it is refused

    def follow(self, leader: "OpenQuestion") -> Choice:
        """The choice for this question if it is answered together with the leader: what the person changed in the
        leader's choice, and else what this question's own proposal has."""
        of_leader = ((field, getattr(leader.choice, field)) for field in Choice.__struct_fields__)
        chosen = {field: value for field, value in of_leader if value != getattr(leader.first, field)}
        return msgspec.structs.replace(self.first, **chosen)

    def answer(self, choice: Choice, *, is_guest: bool = False) -> Answer:
        holds = name_lifetime(self.prompt.connection, choice, is_guest=is_guest)
        return Answer(self.prompt.prompt_id, choice, holds=holds)

    def answer_by_hand(self, rule: str, *, is_guest: bool = False) -> Answer:
        return Answer(self.prompt.prompt_id, None, rule, name_lifetime_of_line(rule, is_guest=is_guest))
