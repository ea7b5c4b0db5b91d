"""Runs the programs iptables and ip6tables to their end; errors come with a hint."""

import logging
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tinysnitch.core.model.errors import SHORTAGE_HINT, NotPermitted, SnitchError
from tinysnitch.kernel.netfilter.rules import Family
from tinysnitch.kernel.system.kernel_modules import with_reason
from tinysnitch.kernel.system.proc_place import PROC

_log = logging.getLogger(__name__)
_PREFIX = {Family.V4: "iptables", Family.V6: "ip6tables"}
_LEGACY_TABLES = {Family.V4: "ip_tables_names", Family.V6: "ip6_tables_names"}  # in this network namespace
_SBIN = "/usr/sbin:/sbin"  # where Debian has iptables; not in the PATH that `su` leaves
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
_WAIT = ("-w", "5")  # seconds for the lock of other iptables programs
_PATIENCE_S, _LIMIT_S = 3.0, 60.0  # until a warning that a program takes long; until it is killed
_PAUSES_S = (0.2, 1.0)  # before the second and the third try
_REFUSED = re.compile("permission denied|not permitted", re.IGNORECASE)  # EACCES and EPERM in the C locale
# nft made a table with a chain by this name, but at another hook or priority than iptables would, or at none.
_OTHER_CHAIN = re.compile(r"CHAIN_ADD failed \((?:Operation not supported|File exists)\): chain (\w+)")
_ADVICE = re.compile("Error occurred at line|Try `|Perhaps ")  # lines that may follow the problem
# Since 9fce66583f06 (Linux 6.17) a kernel may be built without the tables of iptables-legacy.
_NO_LEGACY = re.compile(r"\(legacy\): .*initialize .*table")
_NFT_HINT = (
    "no such tables in this kernel: `update-alternatives --set iptables /usr/sbin/iptables-nft`, and ip6tables likewise"
)
_NO_PIN = "failed to get bpf object"
# A warning; the error below it may not name the extension.
_LACKING = re.compile(r"Extension (\S+) revision \d+ not supported")
_VERSION_PROBLEM = 3  # enum xtables_exittype in include/xtables.h of iptables: the kernel lacks something


def save(family: Family, backend: str = "") -> str:
    return _run([f"{_PREFIX[family]}{backend}-save"])


def restore(family: Family, text: str, backend: str = "") -> None:
    _run([f"{_PREFIX[family]}{backend}-restore", "--noflush", *_WAIT], text)


def has_table(family: Family, table: str) -> bool:
    """Whether this kernel has the table."""
    return _call([_PREFIX[family], *_WAIT, "-t", table, "-S"]).returncode != _VERSION_PROBLEM


def check_match(name: str) -> None:
    """Raises SnitchError where this kernel has no such match, and no module for it."""
    if name in _LACKING.findall(_call([_PREFIX[Family.V4], "-m", name, "--help"]).stderr):
        raise SnitchError(f"the kernel lacks the netfilter match {name} (modprobe xt_{name})")


def name_of(family: Family) -> str:
    """What people call it."""
    return _PREFIX[family]


def read_version(family: Family) -> str:
    """`iptables v1.8.11 (nf_tables)`."""
    return _run([_PREFIX[family], "--version"]).strip()


def uses_nf_tables(family: Family) -> bool:
    return "nf_tables" in read_version(family)


def find_other_backend(family: Family) -> str | None:
    """The backend (legacy or nft) that `iptables` is not now: it may hold rules from a time when `iptables` was it."""
    other = "-nft"
    if uses_nf_tables(family):
        other = "-legacy" if _has_legacy_tables(family) else ""
    return other if other and shutil.which(f"{_PREFIX[family]}{other}-save", path=_path()) else None


def _has_legacy_tables(family: Family) -> bool:
    try:
        return bool(Path(PROC, "thread-self/net", _LEGACY_TABLES[family]).read_text())
    except OSError:
        return False


def insist(work: Callable[[], None]) -> None:
    """Try three times: others may just change the rules or hold the lock, or no process could be started."""
    for pause_s in _PAUSES_S:
        try:
            return work()
        except SnitchError:
            time.sleep(pause_s)
    work()


def _run(command: list[str], text: str = "") -> str:
    done = _call(command, text)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip() and not _ADVICE.match(line)]
        problem = (said or [f"exit code {done.returncode}"])[-1]
        raise _error_of(f"{command[0]}: {problem}{_describe_lacking(done.stderr)}")
    return done.stdout


def _describe_lacking(errors: str) -> str:
    names = ", ".join(dict.fromkeys(_LACKING.findall(errors)))
    return f" (the kernel lacks the extension {names})" if names else ""


def _error_of(problem: str) -> SnitchError:
    """The problem with a hint; NotPermitted also for root without CAP_NET_ADMIN, as in a container."""
    if _REFUSED.search(problem):
        return NotPermitted(problem, "netfilter rules need CAP_NET_ADMIN in this network namespace: run it as its root")
    other = _OTHER_CHAIN.search(problem)
    if other:
        tables = "filter, mangle or security (`nft list ruleset`)"
        hint = f"a table {tables} has a chain {other[1]} that is not as iptables makes it: give that table another name"
        return SnitchError(problem, hint)
    if _NO_PIN in problem:
        gone = "it is no more in /sys/fs/bpf, and only a restart of tinysnitchd puts it there again"
        return SnitchError(f"{problem}: {gone}", "restart tinysnitchd")
    if _NO_LEGACY.search(problem):
        return SnitchError(problem, with_reason(_NFT_HINT))
    return SnitchError(problem, with_reason("are the netfilter modules of this kernel there?"))


def _call(command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    try:
        with _start(command) as process:
            output, errors = _communicate(process, command[0], text)
            return subprocess.CompletedProcess(command, process.returncode, output, errors)
    except FileNotFoundError:
        raise SnitchError(f"{command[0]} is not installed", "install the package iptables") from None
    except subprocess.TimeoutExpired:
        raise SnitchError(
            f"{command[0]} took more than {_LIMIT_S:g} s", "does another program hold the xtables lock?"
        ) from None
    except OSError as error:
        raise SnitchError(f"{command[0]} cannot be started: {error.strerror}", SHORTAGE_HINT) from None


def _start(command: list[str]) -> subprocess.Popen[str]:
    """In a session of its own: a Ctrl-C in our terminal is for us, and must not kill what undoes our rules.

    One that comes before the new session exists must not do so either: the program starts with these signals blocked.
    """
    usual = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            env={**os.environ, "PATH": _path(), "LC_ALL": "C"},
            start_new_session=True,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, usual)


def _communicate(process: subprocess.Popen[str], name: str, text: str) -> tuple[str, str]:
    """Like subprocess.run(), but warns when it takes long: people may be waiting for our start or end."""
    try:
        try:
            return process.communicate(text, timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            if threading.current_thread() is threading.main_thread():  # nobody waits for others, which may not log
                _log.warning("%s takes long; waiting for it, a minute at most", name)
            return process.communicate(timeout=_LIMIT_S - _PATIENCE_S)
    except BaseException:
        process.kill()
        raise


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:{_SBIN}"
