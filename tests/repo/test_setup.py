"""packaging/setup.sh (`make setup`), with stubs for all that it calls.

Without apt-get it uses what was installed by hand, and names what is missing. With apt-get it keeps packages from
starting their services, and leaves nothing behind of how it does that.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.repo.tree import ROOT

NEEDED = ("clang", "iptables", "ip6tables", "setsid")
SHELL = ("bash", "dirname", "mkdir", "realpath")


def write_command(path: Path, text: str = "") -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with stubs of all needed commands in `bin`, and a .venv whose Python writes down its arguments."""
    root = tmp_path / "clone"
    shutil.copytree(ROOT / "packaging", root / "packaging")
    (root / ".venv/bin").mkdir(parents=True)
    write_command(root / ".venv/bin/python", f'echo "$@" >>{root / "done"}')
    (root / "bin").mkdir()
    for command in NEEDED:
        write_command(root / "bin" / command)
    for command in SHELL:
        (root / "bin" / command).symlink_to(shutil.which(command) or command)
    return root


def set_up(clone: Path, word: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / "packaging/setup.sh", word], env={"PATH": str(clone / "bin")}, capture_output=True, text=True
    )


@pytest.mark.parametrize(("word", "extra"), [("run", "."), ("window", ".[gui]")])
def test_commands_that_are_there_are_used(clone: Path, word: str, extra: str) -> None:
    done = set_up(clone, word)
    assert done.returncode == 0, done.stderr
    assert (clone / "done").read_text().endswith(f" --editable {extra}\n")


def test_under_a_strict_umask_all_users_may_read_what_is_made(clone: Path) -> None:
    """The prompt window, which may be installed later, runs as the user who called sudo."""
    write_command(clone / ".venv/bin/python", f"umask >>{clone / 'done'}")
    command = ["bash", "-c", 'umask 077; exec "$0" window', clone / "packaging/setup.sh"]
    assert subprocess.run(command, env={"PATH": str(clone / "bin")}).returncode == 0
    assert (clone / "done").read_text().splitlines()[-1] == "0022"


@pytest.mark.parametrize("command", NEEDED)
def test_a_missing_command_is_named_with_the_packages_that_have_it(clone: Path, command: str) -> None:
    (clone / "bin" / command).unlink()
    done = set_up(clone, "run")
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()
    assert error == f"tinysnitch: error: these are missing, and there is no apt-get to install them: {command}"
    assert "dnf install" in hint
    assert "pacman -S" in hint
    assert not (clone / "done").exists()


def test_what_pip_says_is_shown(clone: Path) -> None:
    """Without apt-get it cannot install a C++ compiler for a package that pip has to build, so it hints at one."""
    write_command(clone / ".venv/bin/python", '[ "$1" = -c ] || { echo Failed building wheel; exit 1; }')
    done = set_up(clone, "run")
    assert done.returncode == 1
    first, *_, hint = done.stderr.splitlines()
    assert first == "Failed building wheel"
    assert "dnf install gcc-c++ python3-devel" in hint


def test_missing_headers_are_the_hint_and_not_the_network(clone: Path) -> None:
    """The hint of our own build is passed on, although pip prints a `hint:` of its own after it."""
    said = "echo '      hint: needs headers'; echo 'hint: See above for details.'; exit 1"
    write_command(clone / ".venv/bin/python", f'[ "$1" = -c ] || {{ {said}; }}')
    error, hint = set_up(clone, "run").stderr.splitlines()[-2:]
    assert error == "tinysnitch: error: pip could not install the project"
    assert hint.startswith("tinysnitch: hint: needs headers; dnf install clang ")


# Runs setup.sh with a stub in the place of /usr/bin/python3.
OTHER_PYTHON = 'mount --bind "$1/bin/python3" /usr/bin/python3 && PATH="$1/bin" exec "$1/packaging/setup.sh" run'


@pytest.mark.privileged
def test_an_environment_that_cannot_be_made_is_told(clone: Path) -> None:
    """Python lacks a module, or the disk is full. Python's own message comes first."""
    (clone / ".venv/bin/python").unlink()
    write_command(clone / "bin/python3", 'if [ "$1" = -c ]; then echo python3; else echo no ensurepip >&2; exit 1; fi')
    words = ["unshare", "--mount", "sh", "-c", OTHER_PYTHON, "sh", clone]
    said, error, hint = subprocess.run(words, capture_output=True, text=True).stderr.splitlines()
    assert said == "no ensurepip"
    assert error == "tinysnitch: error: python3 could not make an environment in .venv"
    assert hint == "tinysnitch: hint: see its own message above; has it the module venv, and has the disk room?"


@pytest.mark.privileged
@pytest.mark.parametrize(("place", "is_made"), [("{clone}", False), ("/home/alice/clone", True)])
def test_an_environment_of_a_clone_that_was_moved_is_made_anew(clone: Path, place: str, is_made: bool) -> None:
    """Its commands name the Python at the old place, so none could be executed."""
    command = f"python3 -m venv --clear {place.format(clone=clone.resolve())}/.venv"
    (clone / ".venv/pyvenv.cfg").write_text(f"home = /usr/bin\ncommand = {command}\n")
    write_command(clone / "bin/python3", f'[ "$1" != -c ] && echo "$@" >>{clone / "made"}; echo python3')
    words = ["unshare", "--mount", "sh", "-c", OTHER_PYTHON, "sh", clone]
    assert subprocess.run(words, capture_output=True).returncode == 0
    assert ((clone / "made").exists(), (clone / "done").exists()) == (is_made, True)


def test_the_packages_for_tests_need_apt_get(clone: Path) -> None:
    done = set_up(clone, "test")
    assert done.returncode == 1
    assert done.stderr.startswith("tinysnitch: error: there is no apt-get here\n")
    assert not (clone / "done").exists()


POLICY = "/usr/sbin/policy-rc.d"
FOLLOWED = f"if [ -e {POLICY} ]; then {POLICY}; else false; fi; echo service $? >>"
# Runs setup.sh ($1) with the PATH $2 and an empty /usr/sbin. With $3 an administrator's policy-rc.d is there, which
# exits with 104.
PRIVATE = f"""
mount -t tmpfs private /usr/sbin
[ -z "$3" ] || printf '#!/bin/sh\\nexit 104\\n' >{POLICY}
[ -z "$3" ] || chmod 755 {POLICY}
PATH="$2" "$1" run
ended=$?
if [ -e {POLICY} ]; then {POLICY}; echo "policy $?"; fi
exit "$ended"
"""


def add_apt(clone: Path, install: str = "", candidate: str = "1") -> None:
    """Add stubs of apt: apt-get writes down what it is called with, and what policy-rc.d tells a package meanwhile."""
    done = clone / "done"
    write_command(clone / "bin/dpkg-query")
    write_command(clone / "bin/apt-cache", f"echo '  Candidate: {candidate}'")
    write_command(
        clone / "bin/apt-get",
        f'echo "apt-get $1" >>{done}\necho "$@" >>{done}.words\n'
        f'[ "$1" = install ] || exit 0\n{FOLLOWED}{done}\n{install}',
    )
    for command in ("id", "rm", "chmod"):
        (clone / "bin" / command).symlink_to(shutil.which(command) or command)


def set_up_by_apt(clone: Path, *, has_policy: bool = False) -> subprocess.CompletedProcess[str]:
    words = ["sh", "-c", PRIVATE, "sh", clone / "packaging/setup.sh", clone / "bin", "yes" if has_policy else ""]
    return subprocess.run(["unshare", "--mount", *words], capture_output=True, text=True)


@pytest.mark.privileged
@pytest.mark.parametrize(
    ("has_policy", "told", "left"), [(False, "service 101", ""), (True, "service 104", "policy 104\n")]
)
def test_no_service_starts_while_packages_are_installed_and_an_administrator_s_policy_stays(
    clone: Path, has_policy: bool, told: str, left: str
) -> None:
    add_apt(clone)
    done = set_up_by_apt(clone, has_policy=has_policy)
    assert done.returncode == 0, done.stderr
    assert (clone / "done").read_text().splitlines()[:2] == ["apt-get install", told]
    assert done.stdout.endswith(f"into .venv\n{left}")


@pytest.mark.privileged
def test_an_installation_that_fails_leaves_no_policy_behind(clone: Path) -> None:
    """Otherwise no package would ever start its service again."""
    add_apt(clone, "exit 100")
    done = set_up_by_apt(clone)
    assert done.returncode == 1
    assert "apt-get could not install " in done.stderr
    assert "policy" not in done.stdout


@pytest.mark.privileged
@pytest.mark.parametrize(("has_its_headers", "headers"), [(True, "python3.15-dev"), (False, "python3-dev")])
def test_a_package_without_a_wheel_for_a_new_python_is_compiled_with_the_headers_of_that_python(
    clone: Path, has_its_headers: bool, headers: str
) -> None:
    """If the Python that was found is not the distribution's default one, python3-dev has the headers of another."""
    add_apt(clone)
    write_command(clone / "bin/apt-cache", f'[ "$2{has_its_headers}" = python3.15-devFalse ] || echo "Candidate: 1"')
    is_there = f'while read -r words; do case "$words" in *" g++ {headers}") exit 0;; esac; done <{clone}/done.words'
    write_command(clone / "bin/python3.15", f'[ "$1" != -c ] || exit 0\n{is_there}\necho Failed building wheel\nexit 1')
    (clone / ".venv/bin/python").unlink()
    (clone / ".venv/bin/python").symlink_to(clone / "bin/python3.15")
    ended = set_up_by_apt(clone)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.privileged
def test_a_distribution_that_is_too_old_is_named_and_not_the_network(clone: Path) -> None:
    """Debian 11 and Ubuntu 22.04 have libbpf0 instead of libbpf1."""
    add_apt(clone, "exit 100")
    write_command(clone / "bin/apt-cache", '[ "$2" = libbpf1 ] || echo "  Candidate: 1"')
    error, hint = set_up_by_apt(clone).stderr.splitlines()
    assert error == "tinysnitch: error: this system has no package libbpf1"
    assert hint == "tinysnitch: hint: Debian 13, Ubuntu 24.04 with its universe, and newer ones have it"


@pytest.mark.privileged
def test_apt_waits_for_another_installation_to_end(clone: Path) -> None:
    """A machine that was just started may be upgrading itself."""
    add_apt(clone)
    assert set_up_by_apt(clone).returncode == 0
    assert " -o DPkg::Lock::Timeout=300 " in (clone / "done.words").read_text()


@pytest.mark.privileged
def test_a_machine_without_lists_of_packages_gets_them_first(clone: Path) -> None:
    add_apt(clone, candidate="(none)")
    done = set_up_by_apt(clone)
    assert done.returncode == 0, done.stderr
    assert (clone / "done").read_text().splitlines()[:2] == ["apt-get update", "apt-get install"]
