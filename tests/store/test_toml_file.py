"""A settings file in TOML: what counts, and how mistakes are named."""

import os
from pathlib import Path

import pytest

from tinysnitch.store.toml_file import parse_toml, read_toml

FILE = Path("/etc/tinysnitch.d/x.toml")
TEXT = """\
timeout = 30
"log" = "json"

[prompt]
timeout = 1
a.b = 2

[[tool]]
names = ["git"]
"""


def test_values_and_the_lines_of_their_keys() -> None:
    toml = parse_toml(FILE, TEXT.encode())
    assert toml.error is None
    assert toml.values["prompt"] == {"timeout": 1, "a": {"b": 2}}
    places = [("timeout", ""), ("log", ""), ("timeout", "prompt"), ("a", "prompt"), ("prompt", ""), ("names", "tool")]
    assert [toml.error_at(key, "x", table=table).line for key, table in places] == [1, 2, 5, 6, 4, 9]
    assert str(toml.error_at("log", "no format", "json or text")) == f"{FILE}:2: no format"
    assert str(toml.error_at("elsewhere", "unknown")) == f"{FILE}: unknown"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"timeout = 30\nlog json\n", f"{FILE}:2:5: expected '=' after a key in a key/value pair"),
        (b"a = 1\na = 2\n", f"{FILE}:2:6: cannot overwrite a value"),
        (b'\nlog = "json', f"{FILE}:2: unterminated string"),
        (b"# \xff\n", f"{FILE}:1: not UTF-8"),
        (b"\n# \xe4\n", f"{FILE}:2: not UTF-8"),
    ],
)
def test_a_mistake_has_a_line_and_a_hint(raw: bytes, said: str) -> None:
    toml = parse_toml(FILE, raw)
    assert str(toml.error) == said
    assert toml.error
    assert toml.error.hint
    assert toml.values == {}


def test_a_file_that_is_not_there_is_an_empty_one(tmp_path: Path) -> None:
    toml = read_toml(tmp_path / "none.toml")
    assert (toml.values, toml.error) == ({}, None)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    toml = read_toml(tmp_path)
    assert str(toml.error) == f"{tmp_path}: Is a directory"


def test_a_mark_at_the_beginning_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xef\xbb\xbftimeout = 5\r\n")
    assert read_toml(path).values == {"timeout": 5}


@pytest.mark.privileged
@pytest.mark.parametrize(("mode", "owner"), [(0o666, 0), (0o600, 1000)])
def test_what_others_can_change_does_not_count(tmp_path: Path, mode: int, owner: int) -> None:
    path = tmp_path / "x.toml"
    path.write_text("timeout = 5\n")
    path.chmod(mode)
    os.chown(path, owner, 0)
    toml = read_toml(path)
    assert toml.values == {}
    assert str(toml.error) == f"{path}: others than root can change it"
    assert toml.error
    assert toml.error.hint == f"chown root: {path} && chmod go-w {path}"
