"""The blocks of README and docs are such that their commands can be run: tests/lab/test_documented_commands.py."""

import pytest

from tests.repo.blocks import Command, is_like, pages, read_blocks
from tests.repo.tree import ROOT

PAGE = ROOT / "README.md"


def test_every_block_of_the_pages_can_be_run_or_says_why_not() -> None:
    problems = [problem for page in pages() for problem in read_blocks(page)[1]]
    assert not problems, "\n".join(problems)


def test_commands_are_scripts_and_what_follows_a_dollar() -> None:
    text = """
<!-- table: of another test -->
- a list

        indented, but of the list

<!-- before: touch there -->
<!-- exits: 3 -->
```sh
cat <<END
$HOME
END
```
  ```console
  $ ls
  here

  there
  $ true
  ```
<!-- not run: it needs a printer -->
```sh
lpr
```
```
allow - - -
```
"""
    (script, console, unrun, shown), problems = read_blocks(PAGE, text)
    assert problems == []
    assert (script.find_marks("before"), script.status) == (["touch there"], 3)
    assert script.commands() == [Command("cat <<END\n$HOME\nEND")]
    assert console.commands() == [Command("ls", "here\n\nthere"), Command("true")]
    assert (console.status, console.place) == (0, "README.md:14")
    assert unrun.why_not_run == "it needs a printer"
    assert shown.commands() == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("```bash\nls\n```", "README.md:1: 'bash' is no language that is known here (hint: it is one of sh, console"),
        ("text\n\n    ls\n", "README.md:3: this is code by its indentation alone (hint: write it between ```sh"),
        ("- list\n\ntext\n\n    ls\n", "README.md:5: this is code by its indentation alone"),
        ("- list\n  - list\n", "README.md:2: the site does not see a list in a list here (hint: indent it by four"),
        ("```\ntinysnitch rules\n```", "README.md:1: this block has a command and no language"),
        ("```\n$ ls\n```", "README.md:1: `$` stands before commands in a console block"),
        ("```sh\n$ ls\n```", "README.md:1: `$` stands before commands in a console block"),
        ("```console\nls\n```", "README.md:1: `$` stands before commands in a console block"),
        ("```console\nhere\n$ ls\n```", "README.md:1: output stands before the first command"),
        ("```sh\nls\n", "README.md:1: this block has no end"),
        ("<!-- not run: no printer -->\n\n```sh\nlpr\n```", "README.md:2: no block follows a mark"),
        ("<!-- notrun: no printer -->\n```sh\nlpr\n```", "README.md:2: there is no mark 'notrun'"),
        ("<!-- not run: -->\n```sh\nlpr\n```", "README.md:2: the mark 'not run' says nothing"),
        ("<!-- exits: one -->\n```sh\nlpr\n```", "README.md:2: the mark 'exits' says nothing"),
        ("<!-- before: ls -->\n```toml\na = 1\n```", "README.md:2: a mark is for commands"),
        ("<!-- not run: x -->\n<!-- before: ls -->\n```sh\nls\n```", "README.md:3: a block that is not run needs no"),
    ],
)
def test_what_is_wrong_with_a_block_is_told_with_a_hint(text: str, told: str) -> None:
    _blocks, (problem,) = read_blocks(PAGE, text)
    assert problem.startswith(told)
    assert "(hint: " in problem


@pytest.mark.parametrize(
    ("shown", "said", "is_it"),
    [
        ("allow - 22 tcp-src", "allow - 22 tcp-src  \n", True),
        ("allow - 22 tcp-src", "allow - 23 tcp-src\n", False),
        ("# 2, by root 2026-12-02 the shop", "# 2, by root 2031-01-30 the shop\n", True),
        ("paused, 10 min 0 s left", "paused, 9 min 59 s left\n", True),
        ("asked again at 12:30:00", "asked again at 07:05:59\n", True),
        ("first\n…\nlast", "first\nmore\nand more\nlast\n", True),
        ("first\n…\nlast", "first\nmore\n", False),
        ("a [b] ...", "a [b] c\n", True),
        ("a", "a\nb\n", False),
    ],
)
def test_output_is_compared_but_for_what_varies(shown: str, said: str, is_it: bool) -> None:
    assert is_like(shown, said) is is_it
