"""`tinysnitch` in this process, against a server on a small request handler."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tinysnitch.cli.main import tinysnitch
from tinysnitch.commandline.command_runner import run_command


class Told(NamedTuple):
    code: int
    out: str
    err: str


class Command:
    def __init__(self, socket: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._socket = socket
        self._capsys = capsys

    def __call__(self, *words: str) -> Told:
        """Exit code and output of `tinysnitch WORDS --socket ...`."""
        return self.plain(*words, "--socket", str(self._socket))

    def plain(self, *words: str) -> Told:
        code = run_command(tinysnitch, "tinysnitch", words)
        out, err = self._capsys.readouterr()
        return Told(code, out, err)
