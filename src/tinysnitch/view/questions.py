"""The questions of one prompt, in the order they opened and in the order in which one walks through them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain

import msgspec

from tinysnitch.view.open_question import OpenQuestion
from tinysnitch.view.program_group import ProgramGroup, group_of


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
