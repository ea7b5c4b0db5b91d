import click
import pytest

from tinysnitch.commandline.named_path import NamedPath


def test_a_path_names_something() -> None:
    assert NamedPath().convert("x", None, None) == "x"
    with pytest.raises(click.BadParameter, match="the path is empty"):
        NamedPath().convert("", None, None)
