"""What a shell is told at Tab; bash and zsh really complete."""

import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import CompletionItem

from tinysnitch.cli.main import tinysnitch
from tinysnitch.commandline.command_runner import run_command
from tinysnitch.commandline.completion import COMMAND, FILE, PART, SHELLS, Bash, Fish, Zsh, use_own_scripts, variable_of

BREAKS = " \t\n\"'><=;|&(:@"  # as bash has them
UNPLAIN = ("raw\x1b[2J", "raw\u202e", "raw\udcff")
HOSTILE = "x$(touch /tmp/pwned);'\"`\\"


@click.command("demo")
@click.argument(
    "word",
    shell_complete=lambda _context, _param, word: [
        CompletionItem(each, help="what\tit\nis")
        for each in ("@ads", "user=alice", "unit:a.service", "*.x.test", "80,443", HOSTILE, "a\nb", *UNPLAIN)
        if each.startswith(word)
    ],
)
def demo(word: str) -> None:
    raise AssertionError(word)


def complete(shell: type[Bash | Zsh | Fish], line: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_WORDBREAKS", BREAKS)
    return shell(demo, {}, "demo", variable_of("demo")).complete().split("\n")


@pytest.mark.parametrize(
    ("line", "inserted"),
    [
        ("demo @", "@ads"),  # bash has such a word begin at the @
        ("demo user=a", "alice"),
        ("demo unit:", "a.service"),
        ("demo *", "'*.x.test'"),
        ("demo 'user=a", "user=alice"),
        ("demo user='a", "alice"),
        ("demo 8", "80,443"),
        ("demo x", "'x$(touch /tmp/pwned);'\"'\"'\"`\\'"),
        ("demo 'x", "x$(touch /tmp/pwned);'\\''\"`\\"),
        ('demo "x', "x\\$(touch /tmp/pwned);'\\\"\\`\\\\"),
        ("demo a", ""),  # no line can hold a newline
        ("demo raw", ""),  # shells show these as they are, and the last one could not be written
    ],
)
def test_bash_gets_what_it_can_insert_as_it_is(line: str, inserted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert complete(Bash, line, monkeypatch) == ([f"plain\t{inserted}\twhat it is"] if inserted else [""])


@pytest.mark.parametrize("shell", [Zsh, Fish])
def test_zsh_and_fish_quote_for_themselves(shell: type[Zsh | Fish], monkeypatch: pytest.MonkeyPatch) -> None:
    assert complete(shell, "demo x", monkeypatch) == [f"plain\t{HOSTILE}\twhat it is"]


def test_scripts_are_ours_and_name_the_command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    use_own_scripts()
    monkeypatch.setenv("_TINYSNITCH_PROMPT_COMPLETE", "fish_source")
    with pytest.raises(SystemExit):
        run_command(demo, "tinysnitch-prompt", [])
    assert "--command tinysnitch-prompt " in capfd.readouterr().out
    assert {PART, FILE, COMMAND} <= set(SHELLS[0].source_template.replace(")", " ").split())


ASK = """
. "$1"
COMP_LINE=$2 COMP_POINT=${#2}
complete -p tinysnitch | grep -q _tinysnitch_completion && _tinysnitch_completion tinysnitch "${2##* }"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tinysnitch answer --any-", ["--any-remote", "--any-port", "--any-args"]),
        ("tinysnitch rules add allow lan 443 udp", ["udp"]),
        ("tinysnitch no-such-command ", [""]),
    ],
)
def test_bash_completes(line: str, words: list[str], tmp_path: Path) -> None:
    script = tmp_path / "tinysnitch"
    script.write_text(Bash(tinysnitch, {}, "tinysnitch", variable_of("tinysnitch")).source())
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(["bash", "-c", ASK, "bash", script, line], env={"PATH": path}, capture_output=True, text=True)
    assert done.stdout.splitlines() == words, done.stderr


# zsh loads the file at the first Tab, and runs the function of that name at each further one.
ASK_TWICE = """
compadd() { print -r -- "$words_found[@]" }
compdef() { print registered }
fpath=("$1")
autoload -Uz _demo
words=(demo "") CURRENT=2
_demo
_demo
. "$1/_demo"
"""


@pytest.mark.skipif(not shutil.which("zsh"), reason="needs zsh")
def test_zsh_completes_at_each_tab(tmp_path: Path) -> None:
    (tmp_path / "_demo").write_text(Zsh(demo, {}, "demo", variable_of("demo")).source())
    command = tmp_path / "demo"
    command.write_text("#!/bin/sh\nprintf 'plain\tone\thelp\nplain\ttwo\t\n'\n")
    command.chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    done = subprocess.run(
        ["zsh", "-fc", ASK_TWICE, "zsh", tmp_path], env={"PATH": path}, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["one two", "one two", "registered"], done.stderr
