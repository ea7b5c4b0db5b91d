"""Workers: what a program starts an interpreter, ssh, wget, curl or openvpn for, with different arguments each time.

These do anything, and no answer should be for all of that. But who started a worker is known: with `parent=` a rule for
any arguments says "what this program starts". Only arguments and names tell that it is a worker, and whoever starts one
chooses them: so what is found here makes a rule for any arguments narrower, never wider.
"""

import re
from collections.abc import Sequence

from tinysnitch.core.interpreters import PYTHON, SHELL, find_interpreter
from tinysnitch.core.process import Process

_PYTHON = re.compile(PYTHON)
_WITH_VALUE = ("-X", "-W")  # Python's own options that take the next word
# get_command_line() of multiprocessing/spawn.py, ensure_running() of forkserver.py, and of the two forks of both
_CODE = re.compile(
    r"(?:import sys; )?from (?:multiprocessing|multiprocess|billiard)\."
    r"(?:spawn import spawn_main; spawn_main|forkserver import main; main)\(.*",
    re.DOTALL,
)
# make_ipkernel_cmd() of ipykernel, SpyderKernelSpec of Spyder, popen_loky_posix.py of loky, which joblib has within
_MODULE = re.compile(
    r"ipykernel|ipykernel_launcher|spyder_kernels\.console|(?:joblib\.externals\.)?loky\.backend\.popen_loky_posix"
)
# get_runnable_pip() of pip, resolve() of pipenv; where Python is root's, a script's own path says what it is
_SCRIPT = re.compile(r"/.*/(?:pip/__pip-runner__|pipenv/resolver/main)\.py", re.DOTALL)
_DEBUGPY = re.compile(r"/.*/debugpy", re.DOTALL)  # launch_request() of it: a folder, then a port and a token
# PyCharm's (python/helpers of intellij-community), and debugpy's for what is started by what it debugs: all are told a
# port of the moment to connect to. patch_args() of pydev_monkey.py puts that also before the code of `-c`.
_PYDEV = re.compile(r"/.*/pydevd?/(?:pydevd|pydevconsole)\.py", re.DOTALL)
_AS_CLIENT = frozenset({"--client", "--mode=client"})
_TRACED = re.compile(
    r"import sys; sys\.path\.(?:insert\(0, |append\()r'/[^']*'\); import pydevd; pydevd\..*", re.DOTALL
)
# That runs no script: in git's core.sshCommand, or in an editor's terminal
_SHELL = re.compile(SHELL)
_BELOW_EDITOR = re.compile(rf"{PYTHON}|{_SHELL.pattern}")  # the launcher of debugpy is Python too
_LOGIN = re.compile(r"sshd(?:-session)?")  # starts what is run on another machine
# PIP_RUN of virtualenv, for a folder of the moment; by itself, or by what it starts to look for new versions
_VIRTUALENV = re.compile(r"import os, sys; sys\.path = \[os\.environ\['VIRTUALENV_PIP_WHEEL'\].*", re.DOTALL)
# What fetches package by package: by its name, or where that says little by its place in the tree of OpenWrt, Buildroot
# or Homebrew, which has a Ruby of its own
_FETCHERS = re.compile(
    r".*/(?:debootstrap|cpanm|emerge|bitbake-worker|scripts/download\.pl|support/download/(?:wget|curl)"
    r"|Library/Homebrew/vendor/portable-ruby/[^/]+/bin/ruby)",
    re.DOTALL,
)
# WorkerProcessBuilder of Gradle: the last words, behind a file of the moment with the classes; the daemon is Java too
_GRADLES = "worker.org.gradle.process.internal.worker.GradleWorkerMain"
_JAVA = re.compile("java")
_OF_R = re.compile(r".*\bparallel:::\.workRSOCK\b.*", re.DOTALL)  # newPSOCKnode() of R's parallel, and of parallelly
# A command for the other side, or -W; a port of the moment (VS Code, for `-D`), or a socket of it (kitty, Zed)
_TALKERS = re.compile(
    r".*/(?:ansible|ansible-playbook|borg|btrbk|git|hg|parallel|rsync|scp|ssh|code|code-insiders|kitten|zed-editor)",
    re.DOTALL,
)
# nm_openvpn_start_openvpn_binary() of NetworkManager-openvpn: its own pid, and which connection since its start it is
_TUNNELLERS = re.compile(r".*/nm-openvpn-service", re.DOTALL)
_STARTERS = {  # of these programs
    "ssh": _TALKERS,
    "wget": _FETCHERS,  # the address of each
    "curl": _FETCHERS,
    "openvpn": _TUNNELLERS,
}


def find_starter(process: Process) -> str | None:
    """The program whose worker this is; None where it is no worker, or its starter says nothing.

    A shell, or an interpreter that runs no script, starts anything, and init is an ancestor of all. An interpreter
    below a home is the only name that its scripts have (core/interpreters.py): conda's, of which JupyterLab is one.
    """
    starter = _find_by_shape(process)
    if starter is None or not starter.startswith("/") or starter == process.parents[-1]:
        return None
    name = _name_of(starter)
    starts_anything = find_interpreter(starter) or _SHELL.fullmatch(name) or _LOGIN.fullmatch(name)
    return None if starts_anything else starter


def _find_by_shape(process: Process) -> str | None:
    """Whoever started a process of this shape."""
    if not process.parents:
        return None
    name = _name_of(process.executable)
    told = _find_told(process) if _PYTHON.fullmatch(name) else ()
    if _is_editors(told):
        return _find_nearest(process, _BELOW_EDITOR)
    if process.run_by is not None:
        return None
    if name in _STARTERS:
        starter = _find_nearest(process, _SHELL)
        return starter if starter and _STARTERS[name].fullmatch(starter) else None
    if name == "java" and process.args[-2:-1] == (_GRADLES,):
        return _find_nearest(process, _JAVA)
    if name == "R" and any(map(_OF_R.fullmatch, process.args)):
        return process.program if process.program in process.parents else None  # by shells, of which R is one too
    if _is_virtualenvs(told):
        return _find_nearest(process, _PYTHON)
    return process.parents[0] if _is_work(told) else None


def _find_nearest(process: Process, between: re.Pattern[str]) -> str | None:
    """The first ancestor whose name is not one of these."""
    return next((parent for parent in process.parents if not between.fullmatch(_name_of(parent))), None)


def _is_editors(told: Sequence[str]) -> bool:
    """What an editor debugs, or its console."""
    match told:
        case ["-c", code, *_]:
            return _TRACED.fullmatch(code) is not None
        case [script, "--connect", *_]:
            return _DEBUGPY.fullmatch(script) is not None
        case [script, *options]:
            return _PYDEV.fullmatch(script) is not None and not _AS_CLIENT.isdisjoint(options)
    return False


def _is_virtualenvs(told: Sequence[str]) -> bool:
    return len(told) > 1 and told[0] == "-c" and _VIRTUALENV.fullmatch(told[1]) is not None


def _is_work(told: Sequence[str]) -> bool:
    match told:
        case ["-c", code, *_]:
            return _CODE.fullmatch(code) is not None
        case ["-m", module, *_]:
            return _MODULE.fullmatch(module) is not None
        case [script, *_]:
            return _SCRIPT.fullmatch(script) is not None
    return False


def _find_told(process: Process) -> Sequence[str]:
    """What Python is told to run: the arguments behind its own options."""
    args = process.args
    if process.run_by is not None:
        return (process.program, *args)
    position = 0
    while position < len(args):
        word = args[position]
        if word in ("-c", "-m") or not word.startswith("-"):
            return args[position:]
        position += 2 if word in _WITH_VALUE else 1
    return ()


def _name_of(path: str) -> str:
    return path.rpartition("/")[2]
