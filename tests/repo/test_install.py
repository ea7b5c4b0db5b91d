"""`make install` and `make uninstall`, into a folder that takes the place of /."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.repo.tree import ROOT

SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
CLOSED = "tinysnitch-closed"  # is no Python
UNITS = (
    "etc/systemd/system/tinysnitchd.service",
    f"etc/systemd/system/{CLOSED}.service",
    "etc/systemd/system/tinysnitch-open.service",
    "etc/systemd/user/tinysnitch-prompt.service",
)


def run(word: str, staging: Path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DESTDIR": str(staging)}
    return subprocess.run([root / "packaging/install.sh", word], env=environment, capture_output=True, text=True)


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """One that is root's alone, as it should be; ours may be anybody's."""
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
    assert list((clone / "src/__pycache__").iterdir())  # so that no start has to compile
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


# Nobody's /etc/systemd, /run and /usr/local/bin, the group is there, and a daemon runs or not.
PRIVATE = """
PATH=/usr/local/bin:$PATH
for place in /etc/systemd /run /usr/local/bin; do mount -t tmpfs private "$place"; done
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
        ("false", "enable --now", "exit 127", "remove"),  # its Python is gone
        ("false", "enable --now", None, "remove"),  # as after `make clean`
    ],
)
def test_what_runs_is_not_what_was_installed_and_what_died_is_taken_away(
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


@pytest.mark.privileged
@pytest.mark.parametrize("is_active", ["true", "false"])
def test_whoever_came_by_ssh_is_told_how_to_come_in_again(clone: Path, is_active: str) -> None:
    """Also through sudo, which drops the variable; not where it runs already: they came in, by a rule."""
    write_script(clone / f"packaging/{CLOSED}", "")
    words = ["unshare", "--mount", "--net", "sh", "-ec", PRIVATE, "sh", str(clone / "packaging/install.sh"), is_active]
    login = {**os.environ, "SSH_CONNECTION": "192.0.2.7 40000 192.0.2.1 2222"}
    session = ["sh", "-c", 'env -u SSH_CONNECTION "$@"; exit $?', "sh", *words]
    done = subprocess.run(session, env=login, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = done.stderr.endswith(": tinysnitch rules add allow - 2222 tcp-src\n")
    assert told is (is_active == "false")


@pytest.mark.privileged
def test_that_its_python_is_gone_is_no_error_of_an_uninstall(clone: Path) -> None:
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
def test_an_earlier_systemd_reads_no_word_that_it_does_not_know(
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


# What opens the machine has ended by the second look at it.
SLOW_SYSTEMCTL = """[ "$*" = "is-active tinysnitch-open" ] || exit 0
if [ -e /run/looked ]; then echo inactive; else echo deactivating; touch /run/looked; fi
"""


@pytest.mark.privileged
def test_what_is_taken_away_is_not_needed_any_more_and_leaves_no_failed_unit(clone: Path, tmp_path: Path) -> None:
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
    assert f"others than root can change {(clone / part).resolve()}," in refused.stderr
    assert "tinysnitch: hint: " in refused.stderr
    assert not (tmp_path / "staging").exists()


def test_what_another_python_was_set_up_for_is_set_up_anew(tmp_path: Path) -> None:
    """After the distribution's upgrade."""
    shutil.copytree(ROOT / "bpf", tmp_path / "bpf")
    shutil.copytree(ROOT / "packaging", tmp_path / "packaging")
    shutil.copytree(ROOT / "src/tinysnitch/kernel", tmp_path / "src/tinysnitch/kernel")
    for name in ("Makefile", "pyproject.toml", "hatch_build.py"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    (tmp_path / ".venv/.installed-python3.13").touch()
    for version, is_missing in (("3.13", 0), ("3.14", 1)):
        (tmp_path / f"python{version}").touch()
        python.unlink(missing_ok=True)
        python.symlink_to(tmp_path / f"python{version}")
        assert subprocess.run(["make", "-q", "setup"], cwd=tmp_path).returncode == is_missing


def test_the_firewall_comes_before_the_network_and_in_no_circle_and_stays() -> None:
    """Not after what waits for the network itself: systemd would leave out a service, perhaps this one. Before what is
    ordinary, since a shutdown goes the other way (tried, systemd 257: what took 4 s to end had an open network)."""
    unit = (ROOT / "packaging/tinysnitchd.service").read_text().splitlines()
    assert {"DefaultDependencies=no", "Conflicts=shutdown.target"} <= set(unit)
    assert {
        "RestartKillSignal=SIGUSR1",
        "StartLimitIntervalSec=0",
        "OOMPolicy=continue",
        "TimeoutStartSec=infinity",
    } <= set(unit)
    assert [line for line in unit if line.startswith(("After=", "Before="))] == [
        "After=local-fs.target tinysnitch-open.service",
        "Before=basic.target network-pre.target shutdown.target",
    ]


@pytest.mark.parametrize(("found", "adds"), [("exit 0", False), ("exit 1", True), (None, True)])
def test_a_restart_that_finds_the_machine_closed_does_not_wait_for_python(
    tmp_path: Path, found: str | None, adds: bool
) -> None:
    """Not there, or of an earlier build: Python tells."""
    add = "tinysnitch-iptables-add"
    write_script(tmp_path / add, f"echo {add}")
    if found:
        write_script(tmp_path / CLOSED, f'[ "$*" = check ] && {found}')
    step = next(line for line in read_unit("tinysnitchd").splitlines() if line.startswith("ExecStartPre="))
    assert "$" not in step  # of what systemd puts in there is nothing
    command = step.partition("=")[2].replace("/usr/local/bin", str(tmp_path))
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{add}\n" if adds else ""), done.stderr


def test_what_closes_a_boot_without_us_comes_before_and_is_opened_by_our_rules() -> None:
    texts = ((ROOT / f"packaging/{name}.service").read_text() for name in ("tinysnitchd", CLOSED))
    daemon, closed = (text.replace("\\\n", "").splitlines() for text in texts)
    steps = [line.rpartition("/")[2].rstrip("'") for line in daemon if line.startswith("ExecStart")]
    assert steps == ["tinysnitch-iptables-add", f"{CLOSED} open", "tinysnitchd"]
    assert "Before=tinysnitchd.service network-pre.target shutdown.target" in closed
    assert {"DefaultDependencies=no", "WantedBy=tinysnitchd.service", "TimeoutStartSec=infinity"} <= set(closed)


def test_the_network_waits_until_it_judges_and_so_does_whoever_starts_it() -> None:
    """Else what is asked at once (a resolver; `tinysnitch rules add` behind the start) comes too early, and is lost."""
    assert "Type=notify" in read_unit("tinysnitchd").splitlines()


def test_what_hangs_it_up_in_its_first_moments_starts_it_again() -> None:
    """Before it takes signals. systemd takes that for a clean end: it would be dead for good."""
    assert "RestartForceExitStatus=SIGHUP" in (ROOT / "packaging/tinysnitchd.service").read_text().splitlines()


# As systemd 252, 255 and 257 print how the last try went.
FAKE_SYSTEMCTL = """[ "$*" = "show -p ExecStart tinysnitchd" ] || exit 0
echo "ExecStart={ path=/usr/local/bin/tinysnitchd ; argv[]=/usr/local/bin/tinysnitchd%s ; pid=9 ; %s }"
"""
NEVER_RUN, WRONG_FLAG, NOT_PERMITTED, FAILED, ENDED, INTERRUPTED = (
    *("code=(null) ; status=0/0", "code=exited ; status=2", "code=exited ; status=4", "code=exited ; status=1"),
    *("code=killed ; status=15/TERM", "code=killed ; status=2/INT"),
)


@pytest.mark.parametrize(
    ("flags", "ended", "opens"),
    [
        ("", NEVER_RUN, True),  # its first step was, which systemd takes for a failure
        ("", FAILED, True),
        ("", ENDED, True),
        ("", INTERRUPTED, True),
        ("", WRONG_FLAG, False),
        ("", NOT_PERMITTED, False),
        (" --admin alice", FAILED, True),
        (" --on-exit keep", FAILED, False),
        (" --on-exit=keep --learn", ENDED, False),
    ],
)
def test_what_is_stopped_whatever_of_it_runs_opens_the_machine(
    tmp_path: Path, flags: str, ended: str, opens: bool
) -> None:
    """Between two restarts, before the next try or before it takes signals: systemd runs no step of it then."""
    assert stop(tmp_path, FAKE_SYSTEMCTL % (flags, ended), "echo opened").stdout == ("opened\n" if opens else "")


@pytest.mark.parametrize("remove", [None, "exit 1", "echo opened"])
def test_what_is_stopped_without_its_python_opens_the_machine(tmp_path: Path, remove: str | None) -> None:
    done = stop(tmp_path, FAKE_SYSTEMCTL % ("", FAILED), remove)
    assert done.returncode == 0
    assert done.stdout == ("opened\n" if remove == "echo opened" else f"{CLOSED} remove\n")


def stop(folder: Path, systemctl: str, remove: str | None) -> subprocess.CompletedProcess[str]:
    """What tinysnitch-open.service does at its end, where tinysnitch-iptables-remove does so, or cannot be executed."""
    (command,) = re.findall(
        r"^ExecStop=/bin/sh -c '(.*)'$", read_unit("tinysnitch-open").replace("\\\n", ""), re.MULTILINE
    )
    scripts = {"systemctl": systemctl, CLOSED: f'echo "{CLOSED} $*"'}
    if remove:
        scripts["tinysnitch-iptables-remove"] = remove
    for name, text in scripts.items():
        write_script(folder / name, text)
    path = {"PATH": f"{folder}:{os.environ['PATH']}"}
    script = command.replace("/usr/local/bin/", f"{folder}/")
    return subprocess.run(["sh", "-c", script], env=path, capture_output=True, text=True)


def read_unit(name: str) -> str:
    return (ROOT / f"packaging/{name}.service").read_text()


def test_what_opens_the_machine_is_there_at_each_stop() -> None:
    """However many starts there were, and nobody stops it alone (tried, systemd 257: after that, or five starts in ten
    seconds, what was stopped between two tries stayed closed)."""
    assert re.search(r"^Wants=.*\btinysnitch-open\.service$", read_unit("tinysnitchd"), re.MULTILINE)
    assert {
        "StopWhenUnneeded=yes",
        "RefuseManualStop=yes",
        "StartLimitIntervalSec=0",
        "RemainAfterExit=yes",
        "DefaultDependencies=no",
    } <= set(read_unit("tinysnitch-open").splitlines())


@pytest.mark.parametrize("unit", sorted((ROOT / "packaging").glob("*.service")), ids=lambda unit: unit.name)
def test_a_unit_starts_what_is_installed(unit: Path) -> None:
    ways = re.findall(r"^Exec(?!Reload)\w+=(.*)", unit.read_text().replace("\\\n", ""), re.MULTILINE)
    started = [match[1] for way in ways if (match := re.search(r"(?:/usr/bin/env |/usr/local/bin/)([\w-]+)", way))]
    assert len(started) == len(ways)
    assert set(started) <= {*SCRIPTS, CLOSED}
