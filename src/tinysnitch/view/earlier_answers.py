"""Remembers what was answered in this prompt, so that a question that differs only by its arguments can say so.

A script that calls curl for one file after the other brings a new question each time, which looks the same. The prompt
then says that the arguments are new, and which key answers for any arguments.
"""

from tinysnitch.core.programs.interpreters import is_called_like_one
from tinysnitch.core.prompts.answer import can_be_remembered
from tinysnitch.core.prompts.choice import Choice, Lifetime
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.view.questions import ProgramGroup, group_of

MAX_KEPT = 256

_Place = tuple[ProgramGroup, str | bytes, int, int]


class EarlierAnswers:
    def __init__(self) -> None:
        self._args: dict[_Place, tuple[str, ...]] = {}  # the arguments answered last; the latest place is last

    def note(self, prompt: Prompt, choice: Choice) -> None:
        """Note an answer whose rule names the arguments. One for any arguments, or for once, is no reason to say later
        that the arguments are new."""
        process = prompt.connection.attribution.process
        if process is None or choice.any_args or choice.lifetime is Lifetime.ONCE:
            return
        place = _place_of(prompt)
        self._args.pop(place, None)
        self._args[place] = process.args
        if len(self._args) > MAX_KEPT:
            del self._args[next(iter(self._args))]

    def differs_by_arguments(self, prompt: Prompt) -> bool:
        """Whether a question that differed only by its arguments was answered, and an answer can be for any of them."""
        process = prompt.connection.attribution.process
        known = self._args.get(_place_of(prompt))
        if process is None or known is None or known == process.args:
            return False
        is_safe = not is_called_like_one(process.program)  # an interpreter runs whatever its arguments say
        return is_safe and process.are_args_complete and can_be_remembered(prompt.connection)


def _place_of(prompt: Prompt) -> _Place:
    connection = prompt.connection
    flow = connection.flow
    return group_of(prompt), connection.name or flow.remote, flow.port, flow.protocol
