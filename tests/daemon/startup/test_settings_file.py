"""tinysnitch.toml: what counts of it beside the flags, and how its mistakes are told."""

import re
from pathlib import Path

import click
import pytest

from tests.lab import cgroup
from tests.repo.tree import ROOT
from tinysnitch.core.model.scope import Scope
from tinysnitch.core.prompts.choice import Lifetime
from tinysnitch.daemon.options import SETTINGS, LogFormat, OnExit, Options, SettingsRead
from tinysnitch.daemon.startup.main import tinysnitchd
from tinysnitch.daemon.startup.settings_file import SettingsFile
from tinysnitch.protocol.messages import PromptSettings, Theme, WindowPosition, WindowSize

SAMPLE = ROOT / "packaging" / SETTINGS
_HIDDEN = ("is_scoped", "no_bpf", "run_folder", "remove_run", "version")


def read(folder: Path, text: str | None, *words: str, scope: Scope = Scope.MACHINE) -> SettingsRead:
    """What a tinysnitchd with these words reads of a settings file with this text."""
    if text is not None:
        (folder / SETTINGS).write_text(text)
    context = tinysnitchd.make_context("tinysnitchd", ["--config-dir", str(folder), *words])
    given = {
        name for name in context.params if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    }
    flags = {name: value for name, value in context.params.items() if name not in _HIDDEN}
    return SettingsFile(tinysnitchd, {**flags, "is_bpf_wanted": True}, given, scope).read()


def errors(folder: Path, text: str, *words: str) -> list[str]:
    return [error.with_hint().removeprefix(f"{folder / SETTINGS}:") for error in read(folder, text, *words).errors]


def test_without_a_file_the_flags_and_their_defaults_hold(tmp_path: Path) -> None:
    found = read(tmp_path, None, "--timeout", "5")
    assert found.options == Options(config_dir=tmp_path, timeout_s=5.0)
    assert (found.prompt, found.errors) == (PromptSettings(), ())


WHOLE = """\
rules = "/x/rules"
lists = "/x/lists"
state-dir = "/x/state"
socket = "/x/socket"
timeout = 30
log = "json"
resolver = ["9.9.9.9", "2620:fe::fe"]
learn = true
on-exit = "keep"
user = ["nobody"]
admin = ["%root", "0"]

[prompt]
start = true
lifetime = "forever"
delay = 1
theme = "dark"
window = "full"
position = "corner"
"""


def test_every_option_can_be_set(tmp_path: Path) -> None:
    found = read(tmp_path, WHOLE)
    assert found.errors == ()
    assert found.options == Options(
        config_dir=tmp_path,
        rules=Path("/x/rules"),
        lists=Path("/x/lists"),
        state_dir=Path("/x/state"),
        socket=Path("/x/socket"),
        timeout_s=30.0,
        log=LogFormat.JSON,
        resolvers=("9.9.9.9", "2620:fe::fe"),
        is_learning=True,
        on_exit=OnExit.KEEP,
        users=("nobody",),
        admins=("%root", "0"),
        has_prompt=True,
    )
    assert found.prompt == PromptSettings(
        lifetime=Lifetime.FOREVER,
        delay=1.0,
        theme=Theme.DARK,
        window=WindowSize.FULL,
        position=WindowPosition.CORNER,
    )


def test_flags_win(tmp_path: Path) -> None:
    text = 'timeout = 30\nlog = "json"\nadmin = ["nobody"]\nresolver = ["9.9.9.9"]\n'
    options = read(tmp_path, text, "--timeout", "60", "--admin", "root", "--log", "text").options
    assert (options.timeout_s, options.admins, options.log) == (60.0, ("root",), LogFormat.TEXT)
    assert options.resolvers == ("9.9.9.9",)


def test_a_command_is_judged_by_what_says_how_and_is_no_service(tmp_path: Path) -> None:
    found = read(tmp_path, WHOLE, "--timeout", "0", scope=Scope.COMMAND)
    assert found.options == Options(
        config_dir=tmp_path,
        scope=Scope.COMMAND,
        rules=Path("/x/rules"),
        lists=Path("/x/lists"),
        resolvers=("9.9.9.9", "2620:fe::fe"),
        timeout_s=0.0,
    )
    assert found.prompt.lifetime is Lifetime.FOREVER


def test_a_mistake_costs_its_key_alone(tmp_path: Path) -> None:
    text = 'timeout = "soon"\nlog = "json"\n[prompt]\ndelay = 99\ntheme = "dark"\n'
    found = read(tmp_path, text)
    assert [(error.line, error.problem) for error in found.errors] == [
        (1, "not a number"),
        (4, "99 is no delay"),
    ]
    assert (found.options.timeout_s, found.options.log) == (60.0, LogFormat.JSON)
    assert found.prompt == PromptSettings(theme=Theme.DARK)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tymeout = 3\n", "1: there is no key 'tymeout' (hint: did you mean timeout?)"),
        ("\ntimeout = 99999\n", "2: 99999 is not a number of seconds from 0 to 86400"),
        ("timeout = true\n", "1: not a number (hint: write seconds as a number, without quotes)"),
        ('learn = "yes"\n', "1: neither true nor false (hint: write true or false, without quotes)"),
        ('log = "xml"\n', "1: 'xml' is not one of 'text', 'json'"),
        ("log = 1\n", '1: not a text (hint: write it in quotes: "1")'),
        ('resolver = "9.9.9.9"\n', '1: not a list of texts (hint: write ["one", "two"])'),
        ('resolver = ["dns.test"]\n', "1: 'dns.test' is not an address"),
        ('user = ["nosuch"]\n', "1: there is no user 'nosuch' (hint: write a name, a uid, or %GROUP)"),
        ('rules = "/tmp"\n', "1: '/tmp' is a directory (hint: name a file, not a folder)"),
        ('rules = "rules"\n', "1: 'rules' is not a whole path (hint: write it from / on)"),
        ('rules = ""\n', "1: the path is empty (hint: name a place, or leave the option out)"),
        ("prompt = true\n", "1: not a table (hint: begin a table with the line [prompt])"),
        ('[prompt]\nthem = "dark"\n', "2: there is no key 'them' (hint: did you mean theme?)"),
        ('[prompt]\ntheme = "blue"\n', "2: 'blue' is no theme (hint: write one of: auto, light, dark)"),
        ('[prompt]\ndelay = "1"\n', "2: '1' is no delay (hint: write seconds from 0 to 10 as a number)"),
        ("[prompt]\nstart = 1\n", "2: neither true nor false (hint: write true or false, without quotes)"),
        ("timeout 3\n", "1:9: expected '=' after a key in a key/value pair (hint: a line is key = value"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_a_hint(tmp_path: Path, text: str, told: str) -> None:
    (said,) = errors(tmp_path, text)
    assert said.startswith(told)


@pytest.mark.parametrize("key", ["nonsense", "scoped", "no-bpf", "config-dir", "version"])
def test_what_no_file_can_set_is_no_key(tmp_path: Path, key: str) -> None:
    (said,) = errors(tmp_path, f"{key} = true\n")
    assert said.startswith(f"1: there is no key '{key}' (hint: ")


def test_the_sample_has_every_key_and_changes_nothing_as_it_is(tmp_path: Path) -> None:
    text = SAMPLE.read_text()
    assert read(tmp_path, text) == read(tmp_path, "")
    uncommented = re.sub(r"^# (?=[a-z-]+ = |\[)", "", text, flags=re.MULTILINE)
    there = uncommented.replace("alice", "nobody").replace("/sys/fs/cgroup/x", str(cgroup.find_root()))
    assert errors(tmp_path, there) == []
    keys = set(re.findall(r"^([a-z-]+) = ", uncommented, re.MULTILINE))
    known = {*read(tmp_path, "").keys.values()} - {"prompt"} | {
        field for field in PromptSettings.__struct_encode_fields__
    }
    assert keys == known | {"start"}
