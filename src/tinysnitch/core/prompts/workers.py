"""Workers: an interpreter, ssh, curl or the like that a program starts with different arguments each time.

These can do anything, so no answer should be a rule for all their arguments. But the program that started a worker is
known, and with it as `parent=` a rule for any arguments means "what this program starts". A worker is recognised by
arguments and names, which its starter chooses: so what is found here makes a rule narrower, never wider.
"""

import re
from collections.abc import Sequence

from tinysnitch.core.model.process import Process
from tinysnitch.core.programs.interpreters import PYTHON, SHELL, find_interpreter

_PYTHON = re.compile(PYTHON)
_WITH_VALUE = ("-X", "-W")  # Python's own options that take the next word
# get_command_line() of multiprocessing/spawn.py, ensure_running() of forkserver.py; also of its forks multiprocess and
# billiard
_CODE = re.compile(
    r"(?:import sys; )?from (?:multiprocessing|multiprocess|billiard)\."
    r"(?:spawn import spawn_main; spawn_main|forkserver import main; main)\(.*",
    re.DOTALL,
)
# make_ipkernel_cmd() of ipykernel, SpyderKernelSpec of Spyder, popen_loky_posix.py of loky, also as a part of joblib
_MODULE = re.compile(
    r"ipykernel|ipykernel_launcher|spyder_kernels\.console|(?:joblib\.externals\.)?loky\.backend\.popen_loky_posix"
)
# get_runnable_pip() of pip, resolve() of pipenv, start_connection() of Ansible; for a Python that is not root's, else
# the script is the program
_SCRIPT = re.compile(
    r"/.*/(?:pip/__pip-runner__|pipenv/resolver/main|ansible/cli/scripts/ansible_connection_cli_stub)\.py", re.DOTALL
)
_DEBUGPY = re.compile(r"/.*/debugpy", re.DOTALL)  # its launch_request(): a folder, then a port and a token
# PyCharm's debugger and console (python/helpers of intellij-community), and debugpy's for processes that the debugged
# one starts: all connect to a port of the moment. patch_args() of pydev_monkey.py puts this also before code for `-c`.
_PYDEV = re.compile(r"/.*/pydevd?/(?:pydevd|pydevconsole)\.py", re.DOTALL)
_AS_CLIENT = frozenset({"--client", "--mode=client"})
_TRACED = re.compile(
    r"import sys; sys\.path\.(?:insert\(0, |append\()r'/[^']*'\); import pydevd; pydevd\..*", re.DOTALL
)
# A shell that runs no script, as for git's core.sshCommand, or in an editor's terminal
_SHELL = re.compile(SHELL)
_BELOW_EDITOR = re.compile(rf"{PYTHON}|{_SHELL.pattern}")  # the launcher of debugpy is Python too
_LOGIN = re.compile(r"sshd(?:-session)?")  # starts what people run here from another machine
# PIP_RUN of virtualenv, with a folder of the moment; started by virtualenv, or by its search for new versions
_VIRTUALENV = re.compile(r"import os, sys; sys\.path = \[os\.environ\['VIRTUALENV_PIP_WHEEL'\].*", re.DOTALL)
# Programs that fetch one package after another: by name, or where a name says little by the place in the tree of
# OpenWrt, Buildroot or Homebrew, which has a Ruby of its own. And some that a timer starts, or that run always: these
# give a file of the moment, what they signed (acme.sh, dehydrated), the name of an update (sa-update), the kernel's
# version (Ubuntu's 50-motd-news) or the address that they banned (fail2ban).
_FETCHERS = re.compile(
    r".*/(?:debootstrap|cpanm|cabal|opam|emerge|makepkg|python-build|ruby-build|bitbake-worker|scripts/download\.pl"
    r"|support/download/(?:wget|curl)|Library/Homebrew/vendor/portable-ruby/[^/]+/bin/ruby|lxc/templates/lxc-download"
    r"|jigdo-lite|acme\.sh|ddclient|dehydrated|pihole/gravity\.sh|sa-update|update-motd\.d/50-motd-news"
    r"|fail2ban-server)",
    re.DOTALL,
)
# WorkerProcessBuilder of Gradle: the last argument but one, behind a file of the moment; the starter is Java too
_GRADLES = "worker.org.gradle.process.internal.worker.GradleWorkerMain"
_JAVA = re.compile("java")
_OF_R = re.compile(r".*\bparallel:::\.workRSOCK\b.*", re.DOTALL)  # newPSOCKnode() of R's parallel, and of parallelly
# These give ssh a command for the other side, or -W; a port (VS Code, for `-D`) or a socket (kitty, Zed) of the moment
_TALKERS = re.compile(
    r".*/(?:ansible|ansible-playbook|borg|btrbk|clush|git|git-annex|hg|parallel|parallel-ssh|pssh|rsync|scp|ssh|syncoid"
    r"|code|code-insiders|cursor|kitten|zed-editor)",
    re.DOTALL,
)
# nm_openvpn_start_openvpn_binary() of NetworkManager-openvpn: its own pid, and the number of the connection
_TUNNELLERS = re.compile(r".*/nm-openvpn-service", re.DOTALL)
# SessionLauncher of RStudio: a port and a token of the moment. In rsession R runs.
_RSTUDIO = re.compile(r".*/(?:rstudio|rserver)", re.DOTALL)
# ytdl_hook.lua of mpv, FFmpegFD of yt-dlp: the address of each video
_PLAYERS = re.compile(r".*/(?:mpv|celluloid)", re.DOTALL)
_DOWNLOADERS = re.compile(r".*/yt-dlp", re.DOTALL)
_STARTERS = {  # worker → the programs that start it
    "ssh": _TALKERS,
    **dict.fromkeys(("wget", "curl", "aria2c", "whois"), _FETCHERS),  # with the address of each package, say
    "openvpn": _TUNNELLERS,
    "rsession": _RSTUDIO,
    "yt-dlp": _PLAYERS,
    "ffmpeg": _DOWNLOADERS,
}


def find_starter(process: Process) -> str | None:
    """The program whose worker this is; None: it is no worker, or its starter would not narrow a rule.

    Shells, and interpreters that run no script, start anything, and init is an ancestor of all. An interpreter below a
    home counts as a starter, since its scripts have no other name (core/programs/interpreters.py): conda's, as of
    JupyterLab.
    """
    starter = _find_by_shape(process)
    if starter is None or not starter.startswith("/") or starter == process.parents[-1]:
        return None
    name = _name_of(starter)
    starts_anything = find_interpreter(starter) or _SHELL.fullmatch(name) or _LOGIN.fullmatch(name)
    return None if starts_anything else starter


def _find_by_shape(process: Process) -> str | None:
    """The starter that such names and arguments point to; None: they are not those of a worker."""
    if not process.parents:
        return None
    name = _name_of(process.executable)
    told = _find_told(process) if _PYTHON.fullmatch(name) else ()
    if _is_editors(told):
        return _find_nearest(process, _BELOW_EDITOR)
    called = _name_of(process.program)
    if called in _STARTERS:
        starter = _find_nearest(process, _SHELL)
        return starter if starter and _STARTERS[called].fullmatch(starter) else None
    if process.run_by is not None:
        return None
    if name == "java" and process.args[-2:-1] == (_GRADLES,):
        return _find_nearest(process, _JAVA)
    if name == "R" and any(map(_OF_R.fullmatch, process.args)):
        return process.program if process.program in process.parents else None  # shells, and R itself, between
    if _is_virtualenvs(told):
        return _find_nearest(process, _PYTHON)
    return process.parents[0] if _is_work(told) else None


def _find_nearest(process: Process, between: re.Pattern[str]) -> str | None:
    """The nearest ancestor whose name does not match `between`."""
    return next((parent for parent in process.parents if not between.fullmatch(_name_of(parent))), None)


def _is_editors(told: Sequence[str]) -> bool:
    """Whether an editor debugs it, or has it as its console."""
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
    """What Python is told to run: its arguments from the script, `-c` or `-m` on; empty: there is none."""
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
