"""What the engine had the kernel remember, and which of it holds now, by its generation and its end."""

from collections.abc import Iterator

from tinysnitch.core.engine import commands as cmd
from tinysnitch.core.model.flow import Flow
from tinysnitch.core.model.verdict import VerdictKey


class KernelMemory:
    """The kernel's cache without its bound. The kernel may evict any entry, so all that it may still hold counts."""

    def __init__(self, generation: int) -> None:
        self._generation = generation
        self._verdicts: dict[VerdictKey, cmd.RememberVerdict] = {}
        self._flows: dict[Flow, cmd.RememberFlow] = {}

    def take(self, command: cmd.Command) -> None:
        match command:
            case cmd.RememberVerdict(key):
                self._verdicts[key] = command
            case cmd.RememberFlow(flow):
                self._flows[flow] = command
            case cmd.ForgetVerdicts(keys):
                for key in keys:
                    self._verdicts.pop(key, None)
            case cmd.SetGeneration(generation):
                self._generation = generation

    def verdicts(self, now_s: float) -> Iterator[cmd.RememberVerdict]:
        return (each for each in self._verdicts.values() if self._holds(each, now_s))

    def flows(self, now_s: float) -> Iterator[cmd.RememberFlow]:
        return (each for each in self._flows.values() if self._holds(each, now_s))

    def _holds(self, told: cmd.RememberVerdict | cmd.RememberFlow, now_s: float) -> bool:
        return told.generation == self._generation and (told.expires_s is None or now_s < told.expires_s)
