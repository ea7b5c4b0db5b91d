import sys

import click
import pytest

from tinysnitch.cli.command_group import CommandGroup, UnknownCommand


@click.command("found")
@click.option("--place")
def found_command(place: str | None) -> int:
    return 7


@pytest.fixture(name="group")
def _group() -> CommandGroup:
    return CommandGroup("top", commands_in={"found": f"{__name__}:found_command", "absent": "no.such.module:x"})


def test_a_command_is_imported_when_it_is_called(group: CommandGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    assert group.main(["found"], standalone_mode=False) == 7


def test_commands_that_are_not_called_are_not_imported(group: CommandGroup) -> None:
    assert group.list_commands(click.Context(group)) == ["found", "absent"]
    with pytest.raises(ModuleNotFoundError):
        group.main(["absent"], standalone_mode=False)


@pytest.mark.parametrize(
    ("word", "hint"), [("fuond", "did you mean `top found`?"), ("zzz", "write one of: found, absent")]
)
def test_a_word_that_is_none_gets_a_hint(group: CommandGroup, word: str, hint: str) -> None:
    with pytest.raises(UnknownCommand) as error:
        group.main([word], prog_name="top", standalone_mode=False)
    assert error.value.hint == hint


def test_an_option_without_its_value_is_of_the_command_that_has_it(group: CommandGroup) -> None:
    around = click.Group("all", {"top": group})
    with pytest.raises(click.BadOptionUsage) as error:
        around.main(["top", "found", "--place"], prog_name="all", standalone_mode=False)
    assert error.value.ctx
    assert error.value.ctx.command_path == "all top found"
