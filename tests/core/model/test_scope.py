"""Whatever is asked of a scope differs between the two; a command's daemon leaves nothing and changes no file."""

import pytest

from tinysnitch.core.model.scope import Scope

QUESTIONS = [name for name, each in vars(Scope).items() if isinstance(each, property)]


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_question_tells_the_two_apart(question: str) -> None:
    assert getattr(Scope.MACHINE, question) is not getattr(Scope.COMMAND, question)


def test_a_command_is_judged_in_a_cgroup_of_its_own_and_leaves_nothing() -> None:
    command = Scope.COMMAND
    assert command.makes_cgroup
    assert not any((command.makes_rules_file, command.has_successor, command.programs_outlive_it))
