"""The catalogue that root extends: what is in the file counts at once, and a mistake in it changes nothing."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.daemon.loop.driver_place import until
from tinysnitch.core.engine.events import CatalogueLoaded, DataLost
from tinysnitch.core.prompts.catalogue import BadEntry, Catalogue, Worker
from tinysnitch.daemon.control.clients import ControlClients
from tinysnitch.daemon.rules.programs_file import ProgramsFile, find_line, read_packaged

FED = list[CatalogueLoaded | DataLost]
GOOD = "runs_anything = ['my-tool']\n"


def file_of(path: Path) -> tuple[ProgramsFile, FED]:
    fed: FED = []
    return ProgramsFile(path, ControlClients(), fed.append), fed


def test_what_the_package_has_is_read() -> None:
    catalogue = read_packaged()
    assert "bash" in catalogue.shells
    assert 21 in catalogue.told_ports
    assert all(catalogue.join(Catalogue()).__getattribute__(key) for key in Catalogue.__struct_fields__)


def test_what_the_file_says_is_added(tmp_path: Path) -> None:
    path = tmp_path / "programs.toml"
    path.write_text(GOOD + "told_ports = [7000]\n[[worker]]\nruns = 'x'\n")
    file, fed = file_of(path)
    file.read()
    file.read()  # not changed since
    (event,) = fed
    assert isinstance(event, CatalogueLoaded)
    assert (event.catalogue.runs_anything[0], event.catalogue.told_ports[0]) == ("my-tool", 7000)
    assert event.catalogue.worker == (Worker("x"), *read_packaged().worker)
    path.unlink()
    file.read()
    assert fed[-1] == CatalogueLoaded(read_packaged())


def test_no_file_is_no_news(tmp_path: Path) -> None:
    file, fed = file_of(tmp_path / "none" / "programs.toml")
    file.read()
    assert (fed, file.error) == ([], None)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("runs_anything = ['a'\n", 1, "unclosed array"),
        ("\nshell = ['a']\n", 2, "shell: no such key"),
        ("# shells\nshells = [\n  'a',\n  3,\n]\n", 2, "shells: expected `str`, got `int`"),
        ("shells = [\n  'a',\n  '(b',\n]\n", 3, "'(b' is no regular expression: missing ), unterminated subpattern"),
        ("[[worker]]\nruns = 'a'\n[[worker]]\nruns = 'b'\ntold = 'c'\n", 5, "told: expected `array`, got `str`"),
        ("[[worker]]\nruns = 'a'\n\n[[worker]]\ntold = ['c']\n", 4, "runs: missing"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_changes_nothing(
    tmp_path: Path, text: str, line: int, problem: str
) -> None:
    path = tmp_path / "programs.toml"
    path.write_text(text)
    file, fed = file_of(path)
    file.read()
    assert file.error
    assert (file.error.line, file.error.problem) == (line, problem)
    assert file.error.hint
    (event,) = fed
    assert isinstance(event, DataLost)
    assert f"{path}:{line}: " in event.what
    path.write_text(GOOD)
    file.read()
    assert file.error is None
    assert isinstance(fed[-1], CatalogueLoaded)


@pytest.mark.privileged
def test_a_file_that_others_can_change_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "programs.toml"
    path.write_text(GOOD)
    for mode, uid in ((0o666, 0), (0o644, 1000)):
        os.chown(path, uid, uid)
        path.chmod(mode)
        file, fed = file_of(path)
        file.read()
        (event,) = fed
        assert isinstance(event, DataLost)
        assert "others than root can change it" in event.what


def test_the_file_is_read_again_when_it_is_edited(tmp_path: Path) -> None:
    path = tmp_path / "programs.toml"

    async def run() -> None:
        file, fed = file_of(path)
        file.start()
        await asyncio.sleep(0)
        path.with_suffix(".new").write_text(GOOD)
        path.with_suffix(".new").rename(path)
        await until(lambda: any(isinstance(event, CatalogueLoaded) for event in fed))
        file.stop()

    asyncio.run(run())


def test_the_line_of_an_entry_that_is_spelled_in_another_way_is_not_told() -> None:
    assert find_line('"shel\\u006cs" = 3\n', BadEntry("wrong", "shells")) == 0
