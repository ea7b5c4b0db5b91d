"""What the control server asks of the daemon: the one door from clients to the engine."""

from typing import Protocol

from tinysnitch.core.choice import Choice
from tinysnitch.core.prompt import Prompt
from tinysnitch.protocol.messages import Explanation, ListEntry, RuleEntry, Status


class Desk(Protocol):
    """Each method returns at once, and raises SnitchError with what the person can do about it."""

    def status(self) -> Status: ...

    def list_rules(self) -> list[RuleEntry]: ...

    def list_lists(self) -> list[ListEntry]: ...

    def add_rule(self, line: str, by_uid: int) -> str:
        """Write the line to the rules file; returns it as it was written."""
        ...

    def remove_rule(self, line: str, by_uid: int) -> str: ...

    def list_asks(self) -> list[Prompt]: ...

    def answer(self, prompt_id: int, answer: Choice | str, by_uid: int) -> str:
        """Answer with a choice or with a rule line; returns the line that it made."""
        ...

    def explain(self, program: str, remote: str, port: int, protocol: str) -> Explanation: ...

    def read_history(self, limit: int) -> list[bytes]:
        """The newest log lines, oldest of them first, without newlines."""
        ...

    def attach(self, client_id: int, uid: int) -> None:
        """A prompt client is there, and shall now be pushed every open prompt."""
        ...

    def detach(self, client_id: int) -> None: ...
