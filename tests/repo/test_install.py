"""`make install` and `make uninstall`: into a folder that takes the place of /, or in a mount namespace."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.repo.tree import ROOT

pytestmark = pytest.mark.slow

SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
CLOSED = "tinysnitch-closed"  # a shell script, no entry point of the package
UNITS = (
    "etc/systemd/system/tinysnitchd.service",
    f"etc/systemd/system/{CLOSED}.service",
    "etc/systemd/system/tinysnitch-open.service",
    "etc/systemd/user/tinysnitch-prompt.service",
)


def run(word: str, staging: Path, root: Path = ROOT, before: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DESTDIR": str(staging)}
    command = ["bash", "-c", f'{before}exec "$0" "$1"', root / "packaging/install.sh", word]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone that belongs to root alone, as it should; this checkout may belong to anybody."""
    root = tmp_path / "clone"
    shutil.copytree(ROOT / "packaging", root / "packaging")
    (root / "src").mkdir()
    (root / ".venv/bin").mkdir(parents=True)
    for script in SCRIPTS:
        (root / ".venv/bin" / script).write_text("")
    (root / ".venv/bin/python").symlink_to(sys.executable)
    (root / "src/some.py").write_text("")
    return root


@pytest.mark.privileged
def test_what_is_installed_is_taken_away(clone: Path, tmp_path: Path) -> None:
    staging = tmp_path / "staging"
    (staging / "usr/local/bin").mkdir(parents=True)
    (staging / "usr/local/bin/tinysnitch-of-others").symlink_to("/elsewhere/tinysnitch")
    before = files_below(staging)
    done = run("install", staging, clone)
    assert done.returncode == 0, done.stderr
    assert files_below(staging) == sorted(
        [*before, *UNITS, *(f"usr/local/bin/{script}" for script in (*SCRIPTS, CLOSED))]
    )
    assert list((clone / "src/__pycache__").iterdir())  # compiled now, so that no start has to
    assert (staging / "usr/local/bin/tinysnitchd").readlink() == clone / ".venv/bin/tinysnitchd"
    assert not (staging / "usr/local/bin" / CLOSED).is_symlink()
    assert run("uninstall", staging, clone).returncode == 0
    assert files_below(staging) == before


@pytest.mark.privileged
def test_what_cannot_be_compiled_is_installed_all_the_same(clone: Path, tmp_path: Path) -> None:
    (clone / "src/some.py").write_text("(")
    done = run("install", tmp_path / "staging", clone)
    assert done.returncode == 0, done.stderr
    assert set(UNITS) <= set(files_below(tmp_path / "staging"))


# Installs and uninstalls with empty /etc/systemd, /run and /usr/local/bin, with stubs of systemctl and getent. $1: the
# script; $2: what `systemctl is-active` does, and so whether a daemon runs.
PRIVATE = """
PATH=/usr/local/bin:$PATH
for place in /etc/systemd /run /usr/local/bin /usr/local/share; do mount -t tmpfs private "$place"; done
mkdir -p /run/systemd/system /etc/systemd/system /etc/systemd/user
printf '#!/bin/sh\\n[ "$1" != is-active ] || %s\\n' "$2" >/usr/local/bin/systemctl
printf '#!/bin/sh\\n' >/usr/local/bin/getent
chmod 755 /usr/local/bin/systemctl /usr/local/bin/getent
"$1" install
"$1" uninstall
"""


@pytest.mark.privileged
@pytest.mark.parametrize(
    ("is_active", "told", "remove", "opened"),
    [
        ("true", "restart", "echo opened", "opened"),
        ("false", "enable --now", "echo opened", "opened"),
        ("false", "enable --now", "exit 127", "remove"),  # the Python of tinysnitch-iptables-remove is gone
        ("false", "enable --now", None, "remove"),  # there is no such command, as after `make clean`
    ],
)
def test_install_restarts_a_running_daemon_and_uninstall_opens_the_machine_also_without_python(
    clone: Path, is_active: str, told: str, remove: str | None, opened: str
) -> None:
    write_script(clone / f"packaging/{CLOSED}", 'echo "$1"')
    if remove is not None:
        write_script(clone / ".venv/bin/tinysnitch-iptables-remove", remove)
    else:
        (clone / ".venv/bin/tinysnitch-iptables-remove").unlink()
    words = ["sh", "-ec", PRIVATE, "sh", str(clone / "packaging/install.sh"), is_active]
    done = subprocess.run(["unshare", "--mount", "--net", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].endswith(f": systemctl {told} tinysnitchd")
    assert said[1] == opened
    assert said[2].startswith("uninstalled.")


WITHOUT_SYSTEMD = PRIVATE.replace("/run/systemd/system ", "")
RUNNING = """[ "$*" = "status --json" ] || exit 2; echo '{"type":"status","version":"0.1.0","pid":4263,"mode":"bpf"}'"""


def install_without_systemd(clone: Path) -> subprocess.CompletedProcess[str]:
    write_script(clone / f"packaging/{CLOSED}", "")
    words = ["sh", "-ec", WITHOUT_SYSTEMD, "sh", str(clone / "packaging/install.sh"), "echo called"]
    return subprocess.run(["unshare", "--mount", "--net", *words], capture_output=True, text=True)


@pytest.mark.privileged
def test_install_where_no_systemd_runs_says_how_to_start_the_daemon(clone: Path) -> None:
    """The units are installed all the same: in a chroot systemd may run later."""
    done = install_without_systemd(clone)
    assert done.returncode == 0, done.stderr
    installed, uninstalled = done.stdout.splitlines()
    assert installed.startswith("installed. No systemd runs here, so nothing starts tinysnitchd yet:")
    assert installed.endswith(" if systemd will boot this system: systemctl enable tinysnitchd")
    assert uninstalled.startswith("uninstalled.")


@pytest.mark.privileged
def test_a_daemon_that_systemd_did_not_start_is_told_at_install_and_must_end_before_uninstall(clone: Path) -> None:
    """It would put back the netfilter rules that uninstall removes, and no command would be left to end it."""
    write_script(clone / ".venv/bin/tinysnitch", RUNNING)
    done = install_without_systemd(clone)
    assert done.stdout.splitlines() == [
        "installed. The old version still runs (process 4263): end it by kill -USR1 4263, and start tinysnitchd anew"
    ]
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2:] == [
        "tinysnitch: error: tinysnitchd runs, as process 4263, and systemd did not start it",
        "tinysnitch: hint: kill 4263, then make uninstall",
    ]


@pytest.mark.privileged
@pytest.mark.parametrize("is_active", ["true", "false"])
def test_install_by_ssh_says_which_rule_lets_ssh_in_again(clone: Path, is_active: str) -> None:
    """Also through sudo, which drops SSH_CONNECTION. Not if a daemon runs already: then a rule has let them in."""
    write_script(clone / f"packaging/{CLOSED}", "")
    words = ["unshare", "--mount", "--net", "sh", "-ec", PRIVATE, "sh", str(clone / "packaging/install.sh"), is_active]
    login = {**os.environ, "SSH_CONNECTION": "192.0.2.7 40000 192.0.2.1 2222"}
    session = ["sh", "-c", 'env -u SSH_CONNECTION "$@"; exit $?', "sh", *words]
    done = subprocess.run(session, env=login, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = done.stderr.endswith(": tinysnitch rules add allow - 2222 tcp-src\n")
    assert told is (is_active == "false")


@pytest.mark.privileged
def test_uninstall_succeeds_when_the_python_of_the_clone_is_gone(clone: Path) -> None:
    python, remove = clone / ".venv/bin/python", clone / ".venv/bin/tinysnitch-iptables-remove"
    python.unlink()
    python.symlink_to("/nowhere/python3.13")
    remove.write_text(f"#!{python}\n")
    remove.chmod(0o755)
    write_script(clone / f"packaging/{CLOSED}", 'echo "$1"')
    private = PRIVATE.replace('"$1" install\n', "")
    words = ["sh", "-ec", private, "sh", str(clone / "packaging/install.sh"), "false"]
    done = subprocess.run(["unshare", "--mount", "--net", *words], capture_output=True, text=True)
    assert (done.stdout.splitlines()[0], done.stderr) == ("remove", "")


@pytest.mark.privileged
@pytest.mark.parametrize(
    ("version", "has_steps"), [("252 (252.39-1~deb12u1)", False), ("257 (257.13-1~deb13u1)", True)]
)
def test_the_unit_for_an_earlier_systemd_has_no_setting_that_it_does_not_know(
    clone: Path, tmp_path: Path, version: str, has_steps: bool
) -> None:
    write_script(tmp_path / "systemctl", f'[ "$1" != --version ] || echo "systemd {version}"\n[ "$1" != is-active ]')
    private = PRIVATE.replace('"$1" uninstall\n', "cat /etc/systemd/system/tinysnitchd.service\n")
    private = private.replace('"$1" install\n', f'cp {tmp_path}/systemctl /usr/local/bin/\n"$1" install\n')
    words = ["sh", "-ec", private, "sh", str(clone / "packaging/install.sh"), "false"]
    done = subprocess.run(["unshare", "--mount", "--net", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    steps = {"RestartSteps=4", "RestartMaxDelaySec=10"}
    assert steps & set(done.stdout.splitlines()) == (steps if has_steps else set())
    assert "RestartSec=1" in done.stdout.splitlines()


def write_script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


# tinysnitch-open, the unit that opens the machine, has ended when it is looked at for the second time.
SLOW_SYSTEMCTL = """[ "$*" = "is-active tinysnitch-open" ] || exit 0
if [ -e /run/looked ]; then echo inactive; else echo deactivating; touch /run/looked; fi
"""


@pytest.mark.privileged
def test_uninstall_waits_until_the_machine_is_open_and_leaves_no_failed_unit(clone: Path, tmp_path: Path) -> None:
    write_script(clone / ".venv/bin/tinysnitch-iptables-remove", "")
    write_script(tmp_path / "systemctl", f'echo "systemctl $*" >>{tmp_path}/said\n{SLOW_SYSTEMCTL}')
    private = PRIVATE.replace('"$1" install\n', f"cp {tmp_path}/systemctl /usr/local/bin/\n")
    words = ["sh", "-ec", private, "sh", str(clone / "packaging/install.sh"), "false"]
    done = subprocess.run(["unshare", "--mount", "--net", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "said").read_text().splitlines() == [
        "systemctl disable --now tinysnitchd tinysnitch-closed",
        *["systemctl is-active tinysnitch-open"] * 2,
        "systemctl daemon-reload",
        "systemctl reset-failed tinysnitch*",
    ]


@pytest.mark.privileged
@pytest.mark.parametrize("part", ["src", ".venv/bin/tinysnitchd", "."])
def test_what_others_can_change_is_not_installed_for_root(clone: Path, tmp_path: Path, part: str) -> None:
    os.chown(clone / part, 65534, 65534)
    refused = run("install", tmp_path / "staging", clone)
    assert refused.returncode == 1
    assert f"somebody else than root can change {(clone / part).resolve()}," in refused.stderr
    assert "tinysnitch: hint: " in refused.stderr
    assert not (tmp_path / "staging").exists()


def hide_from_others(*paths: Path) -> None:
    """Take away all rights of others, as a umask of 077 does."""
    for path in paths:
        path.chmod(0o700 if path.is_dir() else 0o600)


@pytest.mark.privileged
def test_install_makes_a_clone_usable_for_others_that_a_umask_kept_from_them(clone: Path, tmp_path: Path) -> None:
    """Other users may be allowed to use the commands, and the window runs as the user who called sudo."""
    secret, module = clone / ".git", clone / "src/some.py"
    secret.mkdir()
    hide_from_others(clone, clone / "src", module, clone / ".venv", clone / ".venv/bin", secret)
    done = run("install", tmp_path / "staging", clone, "umask 077; ")
    assert done.returncode == 0, done.stderr
    made = [path for path in (clone / "src").rglob("*") if path.suffix == ".pyc"]
    for path in (clone, clone / "src", module, *made, clone / ".venv/bin", tmp_path / "staging/usr/local/bin"):
        assert path.stat().st_mode & 0o004, path
    assert secret.stat().st_mode & 0o777 == 0o700  # .git may hold a password for its remote


@pytest.mark.privileged
def test_a_clone_in_a_folder_that_only_root_may_enter_is_installed_with_a_warning(clone: Path, tmp_path: Path) -> None:
    home = tmp_path / "root"
    home.mkdir(mode=0o700)
    tmp_path.chmod(0o755)
    moved = clone.rename(home / "clone")
    done = run("install", tmp_path / "staging", moved)
    assert done.returncode == 0, done.stderr
    assert f"only root can use the commands: nobody else may enter {home.resolve()}\n" in done.stderr
    assert home.stat().st_mode & 0o777 == 0o700


def is_set_up(clone: Path) -> bool:
    return subprocess.run(["make", "-q", "setup"], cwd=clone).returncode == 0


def test_a_clone_that_was_set_up_for_another_python_or_place_is_set_up_anew(tmp_path: Path) -> None:
    """After an upgrade of the distribution, or when the clone was moved."""
    clone = tmp_path / "clone"
    for name in ("bpf", "packaging", "src/tinysnitch/kernel/bpf"):
        shutil.copytree(ROOT / name, clone / name)
    for name in ("Makefile", "pyproject.toml", "hatch_build.py"):
        shutil.copy(ROOT / name, clone)
    python = clone / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    place = subprocess.run("pwd -P | cksum", shell=True, cwd=clone, capture_output=True, text=True).stdout.split()[0]
    (clone / f".venv/.installed-python3.13-{place}").touch()
    for version in ("3.14", "3.13"):
        (clone / f"python{version}").touch()
        python.unlink(missing_ok=True)
        python.symlink_to(f"../../python{version}")
        assert is_set_up(clone) == (version == "3.13")
    assert not is_set_up(clone.rename(tmp_path / "moved"))
