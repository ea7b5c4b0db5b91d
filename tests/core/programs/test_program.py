from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.programs.program import Invocation, NamedProgram, identify_program

EXISTS = {"/home/a/x.py", "/home/a/s.sh", "/home/b/app.js", "/opt/app.jar", "/home/a/--x", "/x.py", "/home/a/d/x.py"}
PYTHON = "/usr/bin/python3.13"


def resolve(path: str) -> str | None:
    return path if path in EXISTS else None


def identify(executable: str, *argv: str, directory: str = "/home/a", **kwargs: bool) -> NamedProgram:
    invocation = Invocation(executable=executable, argv=argv, directory=directory, **kwargs)
    found = identify_program(invocation, resolve, may_climb=lambda _left, _script: True)
    return msgspec.structs.replace(found, is_by_args=False, is_by_disk=False)


@pytest.mark.parametrize(
    ("executable", "argv", "path", "args"),
    [
        (PYTHON, ["python3", "/home/a/x.py", "1200"], "/home/a/x.py", ("1200",)),
        (PYTHON, ["python3", "-W", "error", "x.py", "a"], "/home/a/x.py", ("a",)),
        (PYTHON, ["python3", "-u", "-Werror", "x.py", "-c", "b"], "/home/a/x.py", ("-c", "b")),
        (PYTHON, ["python3", "-I", "--", "x.py"], "/home/a/x.py", ()),
        (PYTHON, ["python3", "-X", "dev", "x.py", "-X"], "/home/a/x.py", ("-X",)),
        (PYTHON, ["python3", "-W", "ignore", "-uX", "importtime=2", "-Xutf8", "x.py"], "/home/a/x.py", ()),
        (PYTHON, ["python3", "../../x.py"], "/x.py", ()),
        (PYTHON, ["python3", "./d//./x.py"], "/home/a/d/x.py", ()),
        ("/bin/bash", ["bash", "-x", "./s.sh"], "/home/a/s.sh", ()),
        ("/usr/bin/bash", ["bash", "-eu", "-o", "pipefail", "s.sh", "1"], "/home/a/s.sh", ("1",)),
        ("/usr/bin/bash", ["/bin/bash", "-euo", "pipefail", "/home/a/s.sh"], "/home/a/s.sh", ()),
        ("/usr/bin/dash", ["/bin/sh", "-e", "/home/a/s.sh", "1"], "/home/a/s.sh", ("1",)),  # `#!/bin/sh -e`
        ("/usr/bin/zsh", ["zsh", "-f", "-o", "extendedglob", "s.sh"], "/home/a/s.sh", ()),
        ("/usr/bin/bash", ["bash", "--rcfile", "/home/a/rc", "s.sh", "-i"], "/home/a/s.sh", ("-i",)),
        ("/usr/bin/zsh", ["zsh", "--emulate", "sh", "s.sh"], "/home/a/s.sh", ()),
        ("/usr/bin/perl", ["/usr/bin/perl", "-w", "/home/a/s.sh", "x"], "/home/a/s.sh", ("x",)),
        ("/usr/bin/perl", ["perl", "-CSD", "-0777", "-l012", "s.sh"], "/home/a/s.sh", ()),
        ("/usr/bin/ruby3.3", ["ruby", "-W0", "s.sh"], "/home/a/s.sh", ()),
        ("/usr/bin/ruby3.3", ["ruby", "--disable", "gems", "--parser=prism", "s.sh"], "/home/a/s.sh", ()),
        (
            "/usr/bin/node",
            ["node", "--max_old_space_size=4096", "--inspect", "/home/b/app.js", "-e"],
            "/home/b/app.js",
            ("-e",),
        ),
        ("/usr/bin/node", ["node", "--max-http-header-size", "9", "/home/b/app.js"], "/home/b/app.js", ()),
        ("/usr/bin/php8.4", ["php", "-n", "-f", "s.sh", "--", "a"], "/home/a/s.sh", ("--", "a")),
        ("/usr/bin/php", ["php", "-d", "memory_limit=-1", "-dlog_errors", "s.sh"], "/home/a/s.sh", ()),
        ("/usr/bin/java", ["java", "--add-modules", "jdk.net", "-jar", "/opt/app.jar"], "/opt/app.jar", ()),
        (
            "/usr/lib/jvm/java-21/bin/java",
            ["java", "-Xmx1g", "-cp", "x", "-jar", "/opt/app.jar", "-v"],
            "/opt/app.jar",
            ("-v",),
        ),
    ],
)
def test_script_is_the_program(executable: str, argv: list[str], path: str, args: tuple[str, ...]) -> None:
    assert identify(executable, *argv) == NamedProgram(path, args, executable, path)


@pytest.mark.parametrize(
    ("executable", "argv"),
    [
        (PYTHON, ["python3", "-m", "http.server"]),
        (PYTHON, ["python3", "-c", "import x", "/home/a/x.py"]),
        (PYTHON, ["python3", "-Ic", "import x", "/home/a/x.py"]),
        (PYTHON, ["python3", "-", "/home/a/x.py"]),
        (PYTHON, ["python3", "-i", "/home/a/x.py"]),
        *((PYTHON, ["python3", f"-Xp{what}=/tmp", "/home/a/x.py"]) for what in ("ycache_prefix", "resite")),
        *((PYTHON, ["python3", "-X", f"p{what}=/tmp", "/home/a/x.py"]) for what in ("ycache_prefix", "resite")),
        (PYTHON, ["python3", "-X", "/home/a/x.py"]),
        (PYTHON, ["python3", "-X dev", "/home/a/x.py"]),
        (PYTHON, ["python3"]),
        (PYTHON, ["python3", "missing.py"]),
        (PYTHON, ["python3", "--check-hash-based-pycs", "x.py"]),
        (PYTHON, ["python3", "--new-option", "/home/a/x.py"]),
        (PYTHON, ["python3", ""]),
        (PYTHON, ["python3", "/dev/fd/3"]),
        ("/usr/bin/bash", ["bash", "-xc", "id", "/home/a/s.sh"]),
        ("/usr/bin/bash", ["bash", "-s", "/home/a/s.sh"]),
        ("/usr/bin/bash", ["bash", "--rcfile", "/home/a/s.sh"]),
        ("/usr/bin/bash", ["bash", "-rcfile", "/tmp/x", "/home/a/s.sh"]),
        ("/usr/bin/bash", ["bash", "--rcfile", "/tmp/evil", "-i", "/home/a/s.sh"]),  # there it is read
        ("/usr/bin/zsh", ["zsh", "--emulate", "/home/a/s.sh", "/home/a/s.sh"]),
        ("/usr/bin/perl", ["perl", "-we", "exit", "/home/a/s.sh"]),
        ("/usr/bin/perl", ["perl", "-Mevil", "/home/a/s.sh"]),
        ("/usr/bin/ruby3.3", ["ruby", "-C", "/tmp", "/home/a/s.sh"]),
        ("/usr/bin/node", ["node", "--require=/tmp/evil.js", "/home/b/app.js"]),
        ("/usr/bin/node", ["node", "--test-reporter=/tmp/evil.mjs", "/home/b/app.js"]),
        ("/usr/bin/node", ["node", "--experimental_loader=/tmp/evil.js", "/home/b/app.js"]),
        ("/usr/bin/node", ["node", "-r", "/tmp/evil.js", "/home/b/app.js"]),
        ("/usr/bin/node", ["node", "--new-option", "/home/b/app.js", "evil.js"]),
        ("/usr/bin/php", ["php", "-d", "auto_prepend_file=/tmp/x", "/home/a/s.sh"]),
        ("/usr/bin/php", ["php", "-d", "memory_limit=1\nauto_prepend_file=/tmp/x", "/home/a/s.sh"]),
        ("/usr/bin/java", ["java", "-cp", "x", "Main", "-jar", "/opt/app.jar"]),
        ("/usr/bin/java", ["java", "-javaagent:/tmp/evil.jar", "-jar", "/opt/app.jar"]),
        ("/usr/bin/java", ["java", "@/tmp/options", "-jar", "/opt/app.jar"]),
        ("/usr/bin/env", ["env", "/home/a/x.py"]),  # it executes: the script's interpreter is seen then
        ("/usr/bin/curl", ["curl", "/home/a/x.py"]),
        ("/tmp/python3", ["python3", "/home/a/x.py"]),  # anybody's program of that name
        ("/home/a/bin/bash", ["bash", "/home/a/s.sh"]),
    ],
)
def test_interpreter_stays_the_program(executable: str, argv: list[str]) -> None:
    assert identify(executable, *argv) == NamedProgram(executable, tuple(argv[1:]))


@pytest.mark.parametrize("word", ["d/../x.py", "/home/a/../../x.py"])
def test_dots_after_a_name_are_refused(word: str) -> None:
    """`d` may have been a link at exec, so what `d/..` was then is not known now."""
    invocation = Invocation(executable=PYTHON, argv=("python3", word), directory="/home/a")
    found = identify_program(invocation, lambda _path: "/x.py", may_climb=lambda _left, _script: True)
    assert found.path == PYTHON


@pytest.mark.parametrize(
    ("word", "left"),
    [("../../x.py", ["/home/a", "/home"]), (".././/../../x.py", ["/home/a", "/home"]), ("x.py", None)],
)
def test_what_dots_leave_must_be_as_it_was(word: str, left: list[str] | None) -> None:
    asked: list[list[str]] = []

    def may_climb(folders: Sequence[str], script: str) -> bool:
        assert script == "/x.py"
        asked.append(list(folders))
        return False

    invocation = Invocation(executable=PYTHON, argv=("python3", word), directory="/home/a")
    found = identify_program(invocation, resolve, may_climb=may_climb)
    assert (found.path, asked) == ((PYTHON, [left]) if left else ("/home/a/x.py", []))


def test_above_the_root_there_is_the_root() -> None:
    invocation = Invocation(executable=PYTHON, argv=("python3", "../x.py"), directory="/")
    assert identify_program(invocation, resolve).path == "/x.py"  # no folder was left that might have been moved


def test_relative_script_needs_the_directory() -> None:
    assert identify(PYTHON, "python3", "x.py", directory="").path == PYTHON
    assert identify(PYTHON, "python3", "/home/a/x.py", directory="").path == "/home/a/x.py"


def test_script_word_may_be_cut_only_when_it_is_the_last() -> None:
    assert identify(PYTHON, "python3", "x.py", is_argv_complete=False).path == PYTHON
    assert identify(PYTHON, "python3", "x.py", "arg", is_argv_complete=False).path == "/home/a/x.py"


def test_no_argv_at_all() -> None:
    assert identify(PYTHON) == NamedProgram(PYTHON, ())


def test_extra_interpreters() -> None:
    invocation = Invocation(executable="/home/a/pypy", argv=("pypy", "x.py"), directory="/home/a")
    assert identify_program(invocation, resolve).path == "/home/a/pypy"
    assert identify_program(invocation, resolve, ["pypy"]).path == "/home/a/pypy"
    assert identify_program(invocation, resolve, ["/home/a/pypy"]).path == "/home/a/x.py"
    trusted = Invocation(executable="/usr/bin/lua5.4", argv=("lua", "x.py"), directory="/home/a")
    assert identify_program(trusted, resolve, ["lua5.4"]).path == "/home/a/x.py"
    with_option = Invocation(executable="/usr/bin/lua5.4", argv=("lua", "-i", "x.py"), directory="/home/a")
    assert identify_program(with_option, resolve, ["lua5.4"]).path == "/usr/bin/lua5.4"


@given(
    st.sampled_from([PYTHON, "/usr/bin/bash", "/usr/bin/node", "/usr/bin/java", "/usr/bin/perl", "/bin/x"]),
    st.lists(st.text(max_size=6) | st.sampled_from(["-c", "-jar", "--", "-", "x.py", "\udcff", "-o", "../x.py"])),
)
def test_any_argv_names_the_executable_or_an_existing_file(executable: str, argv: list[str]) -> None:
    found = identify(executable, *argv)
    assert (found.path, found.run_by) == (executable, None) or (found.path in EXISTS and found.run_by == executable)
    assert list(found.args) == argv[len(argv) - len(found.args) :]


@pytest.mark.parametrize(
    ("executable", "argv", "is_by_args", "is_by_disk"),
    [
        ("/usr/bin/curl", ("curl", "-s", "x"), False, False),
        (PYTHON, ("python3", "-c", "pass"), True, False),
        (PYTHON, ("python3", "x.py"), True, True),
        (PYTHON, ("python3", "gone.py"), True, True),
        (PYTHON, ("python3",), True, False),
        ("/home/a/bin/python3", ("python3", "-c", "pass"), False, True),
        ("/home/a/bin/tool", ("tool", "x.py"), False, False),
    ],
)
def test_what_the_name_rests_on(executable: str, argv: tuple[str, ...], *, is_by_args: bool, is_by_disk: bool) -> None:
    invocation = Invocation(executable=executable, argv=argv, directory="/home/a")
    found = identify_program(invocation, lambda path: None if "gone" in path else path)
    assert (found.is_by_args, found.is_by_disk) == (is_by_args, is_by_disk)
