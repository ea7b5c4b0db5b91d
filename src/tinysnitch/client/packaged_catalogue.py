"""The catalogue of programs as the package has it, for rules that a prompt proposes itself.

What root adds to it in programs.toml is the daemon's: it makes the proposals of questions.
"""

import tomllib
from pathlib import Path

from tinysnitch.core.prompts import catalogue as package
from tinysnitch.core.prompts.catalogue import Catalogue, parse_catalogue


def read_catalogue() -> Catalogue:
    return parse_catalogue(tomllib.loads(Path(package.__file__).with_name("programs.toml").read_text(encoding="utf-8")))
