"""What the control server asks of the daemon: every request of a client passes through this interface."""

from collections.abc import Iterable
from typing import Protocol

from tinysnitch.core.prompts.choice import Choice
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.daemon.control.permissions import Right
from tinysnitch.protocol.messages import Explain, Explanation, ListEntry, RuleEntry, Status


class Desk(Protocol):
    """Each method returns at once, returns only what the right covers, and raises SnitchError with a hint for the
    user."""

    def status(self, right: Right) -> Status: ...

    def list_rules(self, right: Right) -> Iterable[RuleEntry]: ...

    def list_lists(self, right: Right) -> list[ListEntry]: ...

    def add_rule(self, line: str, right: Right) -> str:
        """Write the line to the rules file, and return it as it was written."""
        ...

    def remove_rule(self, line: str, right: Right) -> str: ...

    def list_asks(self, right: Right) -> list[Prompt]: ...

    def answer(self, prompt_id: int, answer: Choice | str, right: Right) -> str:
        """Answer with a choice or with a rule line, and return the line of the rule that this made."""
        ...

    def explain(self, question: Explain, right: Right) -> Explanation: ...

    def read_history(self, limit: int, right: Right) -> Iterable[bytes]:
        """The newest log lines, the oldest of them first, without newlines. Rows are read while iterating."""
        ...

    def attach(self, client_id: int, right: Right) -> None:
        """A prompt client has attached: from now on somebody can answer."""
        ...

    def detach(self, client_id: int) -> None: ...
