"""A daemon without an engine, and the commands."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Command
from tests.daemon.small_desk import RunningServer, running_server


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path / "socket") as running:
        yield running


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path / "socket", capsys)
