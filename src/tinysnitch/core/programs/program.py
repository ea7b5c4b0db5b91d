"""Which program runs: the executable, or the script that a known interpreter runs (docs/rules.md, Program).

A script's path comes from argv, which is chosen by the program that starts the interpreter. So in doubt the process is
named by the interpreter: after an option that is not in its table, or one that loads other code. No code that runs can
hide behind the name of a script that does not run.
"""

from collections.abc import Callable, Sequence

import msgspec

from tinysnitch.core.programs.interpreters import (
    Interpreter,
    IsRoots,
    find_interpreter,
    is_named_for_sure,
    nothing_is_roots,
)

ResolveFile = Callable[[str], str | None]  # an absolute path → the file it leads to, None when there is none
# The folders that leading `..` went up from, and the script found so → whether the interpreter found the same one. It
# opens the script later, and a folder that was moved meanwhile has another one above it.
MayClimb = Callable[[Sequence[str], str], bool]


class NamedProgram(msgspec.Struct, frozen=True):
    """A program as a rule's columns name it."""

    path: str
    args: tuple[str, ...]  # after the program's own name
    run_by: str | None = None  # the interpreter, when path is a script
    told: str = ""  # of a script: the absolute path that the interpreter was given, links not followed
    is_by_args: bool = False  # an interpreter: its arguments tell what runs
    is_by_disk: bool = False  # what was on the disk told what runs, or whether the file counts as an interpreter


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """How a program was started: what its name depends on."""

    executable: str
    argv: tuple[str, ...]
    directory: str  # working directory at exec, "" when not known
    is_argv_complete: bool = True  # False: the last word may be cut, or all are missing


def identify_program(
    invocation: Invocation,
    resolve_file: ResolveFile,
    extra: Sequence[str] = (),
    is_roots: IsRoots = nothing_is_roots,
    *,
    may_climb: MayClimb = lambda _left, _script: False,
) -> NamedProgram:
    """Name the program that runs. `extra`: further interpreters, by name or whole path."""
    interpreter = find_interpreter(invocation.executable, extra, is_roots)
    is_by_disk = not is_named_for_sure(invocation.executable, extra)
    if interpreter is None:
        return NamedProgram(invocation.executable, invocation.argv[1:], is_by_disk=is_by_disk)
    position = _find_script(interpreter, invocation)
    if position is not None:
        path, left = _absolute(invocation.argv[position], invocation.directory)
        script = resolve_file(path) if path else None
        if script and (not left or may_climb(left, script)):
            args = invocation.argv[position + 1 :]
            return NamedProgram(script, args, invocation.executable, path or "", is_by_args=True, is_by_disk=True)
    is_by_disk |= position is not None
    return NamedProgram(invocation.executable, invocation.argv[1:], is_by_args=True, is_by_disk=is_by_disk)


def _find_script(interpreter: Interpreter, invocation: Invocation) -> int | None:
    """The index of the script in argv; None: there is none, or it may be cut."""
    position = interpreter.find_script(invocation.argv)
    is_cut = not invocation.is_argv_complete and position == len(invocation.argv) - 1
    return None if is_cut else position


def _absolute(path: str, directory: str) -> tuple[str | None, list[str]]:
    """The absolute path, and the folders that leading `..` went up from. The path is None where `..` follows a name:
    that may be a link, which its owner can change later."""
    left: list[str] = []
    if not path.startswith("/"):
        if not directory.startswith("/"):
            return None, left
        path, left = _climb(directory, path)
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return None if ".." in parts else "/" + "/".join(parts), left


def _climb(directory: str, path: str) -> tuple[str, list[str]]:
    """Resolve leading `..` of a relative path. That is sound as the kernel gives the directory without links."""
    left = []
    directory = directory.rstrip("/")
    while path:
        head, _, rest = path.partition("/")
        if head not in ("", ".", ".."):
            break
        if head == ".." and directory:  # above the root there is the root
            left.append(directory)
            directory = directory.rpartition("/")[0]
        path = rest
    return f"{directory}/{path}", left
