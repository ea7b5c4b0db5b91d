"""The questions of one prompt, in the order they opened and in the order in which one walks through them.

Each is kept with what this prompt knows of it: the choice so far, and whether it was put aside or answered. Questions
of one program stand next to each other, and can be answered together.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain

import msgspec

from tinysnitch.core.model.flow import Direction
from tinysnitch.core.model.process import AttributionSource, OtherFile, other_file_of, program_of, uid_of
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.prompts.choice import Choice
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.view.answer_notice import name_lifetime, name_lifetime_of_line
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

    @property
    def is_widened(self) -> bool:
        """Whether the choice covers more than the question, as the prompt learned from earlier answers."""
        return self.prompt.alone is not None and self.choice.remote is self.first.remote

    def switch(self) -> Choice:
        """The choice for this question alone, else as the person made it; or with what was learned again."""
        return _with_remote_of(self.choice, (self.is_widened and self.prompt.alone) or self.first)

    def choice_for(self, verdict: Verdict) -> Choice:
        """What a key answers: with what was learned for its verdict alone."""
        is_for_other = self.is_widened and verdict is not self.first.verdict
        return msgspec.structs.replace(self.switch() if is_for_other else self.choice, verdict=verdict)

    def follow(self, leader: "OpenQuestion") -> Choice:
        """The choice for this question if it is answered together with others, in which one of them leads: what the
        person changed in the leader's choice, and else what is proposed for this question alone. What was learned could
        cover questions that are not among them."""
        of_leader = ((field, getattr(leader.choice, field)) for field in Choice.__struct_fields__)
        chosen = {field: value for field, value in of_leader if value != getattr(leader.first, field)}
        alone = self.first if self.prompt.alone is None else _with_remote_of(self.first, self.prompt.alone)
        return msgspec.structs.replace(alone, **chosen)

    def answer(self, choice: Choice, *, is_guest: bool = False) -> Answer:
        holds = name_lifetime(self.prompt.connection, choice, is_guest=is_guest)
        return Answer(self.prompt.prompt_id, choice, holds=holds)

    def answer_by_hand(self, rule: str, *, is_guest: bool = False) -> Answer:
        return Answer(self.prompt.prompt_id, None, rule, name_lifetime_of_line(rule, is_guest=is_guest))


def _with_remote_of(choice: Choice, other: Choice) -> Choice:
    """The choice for the remote and user of another one: what a proposal learns."""
    return msgspec.structs.replace(choice, remote=other.remote, is_for_user=other.is_for_user)


class ProgramGroup(msgspec.Struct, frozen=True):
    """Equal for questions that can be answered together: of the same program, user and direction."""

    program: str
    uid: int | None
    other_file: OtherFile | None
    direction: Direction
    starter: str | None = None  # of a worker: a rule for any arguments names its starter
    prompt_id: int = 0  # of a connection whose program is unknown: each such question is a group of its own


def group_of(prompt: Prompt) -> ProgramGroup:
    attribution = prompt.connection.attribution
    return ProgramGroup(
        program=program_of(attribution),
        uid=uid_of(attribution),
        other_file=other_file_of(attribution),
        direction=prompt.connection.flow.direction,
        starter=prompt.connection.traits.starter,
        prompt_id=prompt.prompt_id if attribution.source is AttributionSource.UNKNOWN else 0,
    )


class Questions(Mapping[int, OpenQuestion]):
    """The questions by their ids. One that was answered stays until the daemon closes it."""

    def __init__(self) -> None:
        self._questions: dict[int, OpenQuestion] = {}
        self._counts = Counter[ProgramGroup]()  # of each group, in the order in which the groups came

    def __getitem__(self, prompt_id: int) -> OpenQuestion:
        return self._questions[prompt_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._questions)

    def __len__(self) -> int:
        return len(self._questions)

    def put(self, question: OpenQuestion) -> None:
        self._counts[group_of(question.prompt)] += 1
        if known := self._questions.get(question.prompt.prompt_id):
            self._discount(known)
        self._questions[question.prompt.prompt_id] = question

    def change(self, prompt_id: int, **changes: object) -> None:
        self._questions[prompt_id] = msgspec.structs.replace(self._questions[prompt_id], **changes)

    def pop(self, prompt_id: int) -> OpenQuestion | None:
        question = self._questions.pop(prompt_id, None)
        if question:
            self._discount(question)
        return question

    def _discount(self, question: OpenQuestion) -> None:
        group = group_of(question.prompt)
        self._counts[group] -= 1
        if not self._counts[group]:
            del self._counts[group]

    def clear(self) -> None:
        self._questions.clear()
        self._counts.clear()

    @property
    def waiting_count(self) -> int:
        """How many questions wait, without those that were answered and are about to be closed."""
        return sum(not question.is_sent for question in self._questions.values())

    @property
    def is_answering(self) -> bool:
        """Whether answers of ours are on their way to the daemon."""
        return any(question.is_sent for question in self._questions.values())

    def find_alike(self, question: OpenQuestion) -> tuple[OpenQuestion, ...]:
        """The other questions that wait for the same program."""
        group = group_of(question.prompt)
        others = (other for other in self._questions.values() if other is not question and not other.is_sent)
        return tuple(other for other in others if group_of(other.prompt) == group)

    def ring(self) -> list[int]:
        """The ids of the questions to walk through, including those put aside."""
        return [prompt_id for prompt_id in self._walk_order() if not self._questions[prompt_id].is_sent]

    def find_first_waiting(self) -> int | None:
        """The id of the first question, in walking order, that is neither put aside nor answered."""
        return next((prompt_id for prompt_id in self.ring() if not self._questions[prompt_id].is_aside), None)

    def _walk_order(self) -> Iterator[int]:
        """The ids grouped by program; programs, and the questions of each, in the order in which they came. A program
        keeps its place as long as it has a question, else the answer to its first one would lead away from the others.
        """
        groups: dict[ProgramGroup, list[int]] = {group: [] for group in self._counts}
        for prompt_id, question in self._questions.items():
            groups[group_of(question.prompt)].append(prompt_id)
        return chain.from_iterable(groups.values())
