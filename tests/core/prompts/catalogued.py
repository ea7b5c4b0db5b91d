"""Connections as people are asked about them: with what the packaged catalogue says of their programs."""

import tomllib
from pathlib import Path

from tinysnitch.core.model.connection import Connection
from tinysnitch.core.prompts import catalogue
from tinysnitch.core.prompts.catalogue import parse_catalogue

CATALOGUE = parse_catalogue(tomllib.loads(Path(catalogue.__file__).with_name("programs.toml").read_text()))


def catalogued(connection: Connection) -> Connection:
    return CATALOGUE.describe(connection)
