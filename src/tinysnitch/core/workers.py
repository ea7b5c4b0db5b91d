"""Workers: what a program starts an interpreter or ssh for, with arguments that are others each time.

These do anything, and no answer should be for all of that. But who started a worker is known: with `parent=` a rule for
any arguments says "what this program starts". Only arguments and names tell that it is a worker, and whoever starts one
chooses them: so what is found here makes a rule for any arguments narrower, never wider.
"""

import re

from tinysnitch.core.interpreters import find_interpreter, is_called_like_one
from tinysnitch.core.process import Process

_PYTHON = re.compile(r"python(?:\d+(?:\.\d+)*t?)?")
_TOLD = {  # by the option, none where there is a path: what Python is told to run
    # get_runnable_pip() of pip, launch_request() of debugpy: where a script's path does not name what runs
    "": re.compile(r"/.*/(?:pip/__pip-runner__\.py|debugpy)", re.DOTALL),
    # get_command_line() of multiprocessing/spawn.py, ensure_running() of forkserver.py, and those of their two forks
    "-c": re.compile(
        r"from (?:multiprocessing|multiprocess|billiard)\."
        r"(?:spawn import spawn_main; spawn_main|forkserver import main; main)\(.*",
        re.DOTALL,
    ),
    # make_ipkernel_cmd() of ipykernel, SpyderKernelSpec of Spyder, popen_loky_posix.py of loky, which joblib has within
    "-m": re.compile(
        r"ipykernel|ipykernel_launcher|spyder_kernels\.console"
        r"|(?:joblib\.externals\.)?loky\.backend\.popen_loky_posix"
    ),
}
_STARTERS_OF_SSH = frozenset({"git", "rsync"})  # with a command for the other side: the repository, the folder
_WITH_VALUE = ("-X", "-W")  # the options before it that take the next word


def find_starter(process: Process) -> str | None:
    """The program whose worker this is; None where it is none, or who started it says nothing.

    A shell, or an interpreter that runs no script, starts anything, and init is an ancestor of all. Where the scripts
    of an interpreter have no names of their own (its file is not root's), itself is the only name that there is.
    """
    starter = process.parents[0] if process.parents else ""
    if process.run_by is not None or not starter.startswith("/") or starter == process.parents[-1]:
        return None
    if not (_is_told_to_work(process) or _is_ssh_of(starter, process)):
        return None
    is_its_own_name = starter == process.executable and find_interpreter(starter) is None
    return starter if is_its_own_name or not is_called_like_one(starter) else None


def _is_ssh_of(starter: str, process: Process) -> bool:
    return _name_of(process.executable) == "ssh" and _name_of(starter) in _STARTERS_OF_SSH


def _is_told_to_work(process: Process) -> bool:
    told = _find_told(process.args)
    if told is None or not _PYTHON.fullmatch(_name_of(process.executable)):
        return False
    option, what = told
    return _TOLD[option].fullmatch(what) is not None


def _find_told(args: tuple[str, ...]) -> tuple[str, str] | None:
    """What ends Python's own options, and its value; None where there is none of that."""
    position = 0
    while position < len(args):
        word = args[position]
        if not word.startswith("-"):
            return "", word
        if word in _TOLD:
            return (word, args[position + 1]) if position + 1 < len(args) else None
        position += 2 if word in _WITH_VALUE else 1
    return None


def _name_of(path: str) -> str:
    return path.rpartition("/")[2]
