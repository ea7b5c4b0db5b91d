"""`make install` and `make uninstall`, into a folder that takes the place of /."""

import os
import re
import shutil
import subprocess
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
    assert (staging / "usr/local/bin/tinysnitchd").readlink() == clone / ".venv/bin/tinysnitchd"
    assert not (staging / "usr/local/bin" / CLOSED).is_symlink()
    assert run("uninstall", staging, clone).returncode == 0
    assert files_below(staging) == before


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
@pytest.mark.parametrize(("is_active", "told"), [("true", "restart"), ("false", "enable --now")])
def test_what_runs_is_not_what_was_installed_and_what_died_is_taken_away(
    clone: Path, is_active: str, told: str
) -> None:
    remove = clone / ".venv/bin/tinysnitch-iptables-remove"
    remove.write_text("#!/bin/sh\necho opened\nexit 1\n")
    remove.chmod(0o755)
    words = ["sh", "-ec", PRIVATE, "sh", str(clone / "packaging/install.sh"), is_active]
    done = subprocess.run(["unshare", "--mount", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    installed, opened, uninstalled = done.stdout.splitlines()
    assert installed.endswith(f": systemctl {told} tinysnitchd")
    assert opened == "opened"
    assert uninstalled.startswith("uninstalled.")


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
    """Not after what waits for the network itself: systemd would leave out a service, perhaps this one."""
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
        "Before=network-pre.target shutdown.target",
    ]


def test_what_closes_a_boot_without_us_comes_before_and_is_opened_by_our_rules() -> None:
    daemon, closed = ((ROOT / f"packaging/{name}.service").read_text().splitlines() for name in ("tinysnitchd", CLOSED))
    steps = [line for line in daemon if line.startswith("ExecStart")]
    assert [step.rpartition("/")[2] for step in steps] == ["tinysnitch-iptables-add", f"{CLOSED} open", "tinysnitchd"]
    assert "Before=tinysnitchd.service network-pre.target shutdown.target" in closed
    assert {"DefaultDependencies=no", "WantedBy=tinysnitchd.service", "TimeoutStartSec=infinity"} <= set(closed)


@pytest.mark.parametrize(("ended_by", "opens"), [("TERM", True), ("INT", True), ("HUP", False), ("KILL", False)])
def test_what_ends_a_daemon_that_takes_no_signals_yet_opens_the_machine_or_starts_it_again(
    tmp_path: Path, ended_by: str, opens: bool
) -> None:
    """systemd takes each of the first three for a clean end: it would be dead for good, and the machine closed."""
    unit = (ROOT / "packaging/tinysnitchd.service").read_text()
    (command,) = re.findall(r"^ExecStopPost=/bin/sh -c '(.*)'$", unit, re.MULTILINE)
    remove = tmp_path / "tinysnitch-iptables-remove"
    remove.write_text("#!/bin/sh\necho opened\n")
    remove.chmod(0o755)
    script = command.replace("$$", "$").replace("/usr/local/bin", str(tmp_path))
    done = subprocess.run(["sh", "-c", script], env={"EXIT_STATUS": ended_by}, capture_output=True, text=True)
    assert (done.stdout == "opened\n") is opens
    assert opens or ended_by == "KILL" or f"RestartForceExitStatus=SIG{ended_by}" in unit.splitlines()


# systemd's own answers: whether it failed for good, and what its unit says.
FAKE_SYSTEMCTL = """#!/bin/sh
case $1 in is-failed) exit %d ;; cat) echo "ExecStart=/usr/local/bin/tinysnitchd %s" ;; esac
"""


@pytest.mark.parametrize(
    ("is_failed", "flags", "opens"),
    [
        (0, "", False),
        (1, "", True),
        (1, "--admin alice", True),
        (1, "--on-exit keep", False),
        (1, "--on-exit=keep", False),
    ],
)
def test_what_is_stopped_while_nothing_of_it_runs_opens_the_machine(
    tmp_path: Path, is_failed: int, flags: str, opens: bool
) -> None:
    """Between two restarts, or before the next try: systemd runs no step of it then (tried, systemd 257)."""
    daemon, opener = ((ROOT / f"packaging/{name}.service").read_text() for name in ("tinysnitchd", "tinysnitch-open"))
    assert re.search(r"^Wants=.*\btinysnitch-open\.service$", daemon, re.MULTILINE)
    assert {"StopWhenUnneeded=yes", "RemainAfterExit=yes", "DefaultDependencies=no"} <= set(opener.splitlines())
    (command,) = re.findall(r"^ExecStop=/bin/sh -c '(.*)'$", opener.replace("\\\n", ""), re.MULTILINE)
    for name, text in (
        ("tinysnitch-iptables-remove", "#!/bin/sh\necho opened\n"),
        ("systemctl", FAKE_SYSTEMCTL % (is_failed, flags)),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    script = command.replace("/usr/local/bin", str(tmp_path))
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", script], env=path, capture_output=True, text=True)
    assert (done.stdout == "opened\n") is opens


@pytest.mark.parametrize("unit", sorted((ROOT / "packaging").glob("*.service")), ids=lambda unit: unit.name)
def test_a_unit_starts_what_is_installed(unit: Path) -> None:
    ways = re.findall(r"^Exec(?!Reload)\w+=(.*)", unit.read_text().replace("\\\n", ""), re.MULTILINE)
    started = [match[1] for way in ways if (match := re.search(r"(?:/usr/bin/env |/usr/local/bin/)([\w-]+)", way))]
    assert len(started) == len(ways)
    assert set(started) <= {*SCRIPTS, CLOSED}
