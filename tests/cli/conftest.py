"""Fixtures: the commands, at a daemon without an engine."""

from pathlib import Path

import pytest

from tests.cli.running import Command


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path / "socket", capsys)
