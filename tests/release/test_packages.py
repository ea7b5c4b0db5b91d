"""The packages: their environment, their scripts, and that they are made the same twice.

Whole ones are tried by `make test-packages`.
"""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from release.__main__ import SUMS, write_sums
from release.environment import PACKAGES, PLACE, download, unpack, write_environment
from release.files import write_debian_files, write_pages, write_service_files, write_window_files
from release.formats import DEB, FORMATS, Format, Package, read_recipe, write_package
from release.licences import write_copyright
from release.packages import MACHINES
from release.source import Source
from tests.repo.test_install import write_script
from tests.repo.tree import ROOT

pytestmark = pytest.mark.slow
SOURCE = Source(ROOT, 1_700_000_000)
RECIPE = read_recipe(SOURCE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def read_pins(name: str) -> set[str]:
    lines = (ROOT / "packaging" / name).read_text().splitlines()
    return {line.lower() for line in lines if not line.startswith("#")}


def test_the_packages_bring_the_versions_that_are_tested() -> None:
    assert {pin.lower() for pin in PROJECT["dependencies"]} <= read_pins("wheels.txt")
    newest = next(pin.partition(";")[0] for pin in PROJECT["optional-dependencies"]["gui"] if ">=" in pin)
    assert newest.lower() in read_pins("wheels-window.txt")
    assert all(
        re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in read_pins("wheels.txt") | read_pins("wheels-window.txt")
    )


def make_wheel(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def test_wheels_of_several_pythons_share_a_folder_unless_they_differ(tmp_path: Path) -> None:
    record, metadata = "a-1.dist-info/RECORD", "a-1.dist-info/METADATA"
    shared = {"a/__init__.py": "1", metadata: "Name: a", "a-1.data/data/share/man/man1/a.1": ""}
    packages = tmp_path / "packages"
    for python in ("312", "313"):
        wheel = {**shared, record: python, f"a/_fast.cpython-{python}.so": python, "b/left_out": ""}
        unpack(make_wheel(tmp_path / python, wheel), packages, ["a"])
    files = {str(path.relative_to(packages)) for path in packages.rglob("*") if path.is_file()}
    assert files == {"a/__init__.py", metadata, "a/_fast.cpython-312.so", "a/_fast.cpython-313.so"}
    with pytest.raises(SystemExit, match=r"differ in a/__init__\.py\nhint: "):
        unpack(make_wheel(tmp_path / "other", {"a/__init__.py": "2"}), packages)


def test_pip_is_asked_for_wheels_of_that_machine_and_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_how: asked.append(command))
    assert download(Path("some.txt"), "aarch64", "3.14", tmp_path) == []
    words = " ".join(map(str, asked[0]))
    assert {"--only-binary=:all:", "--no-deps"} <= set(asked[0])
    assert "--platform manylinux_2_28_aarch64" in words
    assert "--python-version 3.14" in words


def fill(root: Path, entry_points: str) -> None:
    """A site-packages with our own wheel in it, of which only what is told of it matters."""
    folder = root / PACKAGES / "tinysnitch-9.dist-info"
    folder.mkdir(parents=True)
    (folder / "entry_points.txt").write_text(entry_points)
    (root / PACKAGES / "some.py").write_text("import sys\ndef main():\n    print(sys.prefix, __file__)\n    return 3\n")


def test_the_environment_runs_with_the_python_it_finds_and_sees_nothing_else(tmp_path: Path) -> None:
    fill(tmp_path, "[console_scripts]\ntinysnitchd = some:main\n")
    write_environment(tmp_path, sys._base_executable, [VERSION, "3.99"])  # type: ignore[attr-defined]
    place = tmp_path / PLACE
    command = place / "bin/tinysnitchd"
    assert command.read_text().startswith(f"#!/{PLACE}/bin/python -I\n")
    assert command.stat().st_mode & 0o111
    assert (tmp_path / "usr/bin/tinysnitchd").readlink() == Path(f"/{PLACE}/bin/tinysnitchd")
    done = subprocess.run([place / "bin/python", "-I", command], capture_output=True, text=True, cwd=tmp_path)
    # By the link of its version, of which there is one for each.
    assert (done.returncode, done.stdout) == (
        3,
        f"{place} {place}/lib/python{VERSION}/site-packages/some.py\n",
    ), done.stderr
    assert (place / "lib/python3.99").readlink() == Path("python")


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_package_is_the_same_bytes_twice(form: Format, tmp_path: Path) -> None:
    root = tmp_path / "root"
    fill(root, "[console_scripts]\ntinysnitchd = some:main\n")
    write_environment(root, form.python, RECIPE.pythons)
    made = []
    for turn in ("first", "second"):
        package = Package("tinysnitch", "9.0.0", "arm64", "short", "long", root, RECIPE.needs[form.name], form.steps)
        (tmp_path / turn).mkdir()
        write_package(package, form, SOURCE, tmp_path / f"{turn}.work", tmp_path / turn)
        (path,) = (tmp_path / turn).iterdir()
        made.append(path)
        for file in root.rglob("*.py"):
            file.touch()
    assert made[0].read_bytes() == made[1].read_bytes()
    assert re.fullmatch("tinysnitch.*(arm64|aarch64).*", made[0].name)


def test_the_deb_is_as_debian_wants_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    fill(root, "[console_scripts]\ntinysnitchd = some:main\n")
    write_environment(root, DEB.python, RECIPE.pythons)
    write_service_files(SOURCE, root)
    write_pages(SOURCE, root, "tinysnitch", DEB.zsh)
    write_debian_files(SOURCE, root, "tinysnitch", "9.0.0")
    needs = RECIPE.needs["deb"]
    write_package(
        Package("tinysnitch", "9.0.0", "amd64", "s", "l", root, needs, DEB.steps), DEB, SOURCE, tmp_path / "w", tmp_path
    )
    (deb,) = tmp_path.glob("*.deb")
    listed = subprocess.run(["dpkg-deb", "--contents", deb], capture_output=True, text=True, check=True).stdout
    assert "root/root" in listed
    assert not re.search(r" (?!root/root)\w+/\w+ ", listed)
    for name in (
        "usr/lib/systemd/system/tinysnitchd.service",
        "usr/bin/tinysnitch-closed",
        "examples/runit/tinysnitchd/run",
    ):
        assert name in listed
    assert "/usr/local" not in (root / "usr/lib/systemd/system/tinysnitchd.service").read_text()
    control = subprocess.run(["dpkg-deb", "--field", deb, "Depends"], capture_output=True, text=True, check=True).stdout
    first, last = RECIPE.pythons[0], int(RECIPE.pythons[-1].partition(".")[2])
    assert f"python3 (>= {first})" in control
    assert f"python3 (<< 3.{last + 1})" in control  # else an upgrade of the distribution could leave us without one
    scripts = tmp_path / "scripts"
    subprocess.run(["dpkg-deb", "--control", deb, scripts], check=True)
    for name in ("preinst", "postinst", "prerm", "postrm"):
        subprocess.run(["sh", "-n", scripts / name], check=True)


def test_man_pages_completion_and_docs_go_where_the_distribution_has_them(tmp_path: Path) -> None:
    source, root = tmp_path / "source", tmp_path / "root"
    for name in (
        "share/man/man5/tinysnitch.rules.5",
        "share/bash-completion/completions/tinysnitch",
        "share/zsh/site-functions/_tinysnitch",
        "share/fish/vendor_completions.d/tinysnitch.fish",
        "README.md",
        "docs/rules.md",
        "docs/design/packet.md",
    ):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("x")
    for name in ("CHANGELOG.md", "packaging/tinysnitch.toml", "packaging/examples/README"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("x")
    write_pages(Source(source, 0), root, "tinysnitch", DEB.zsh)
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert {
        "usr/share/man/man5/tinysnitch.rules.5.gz",
        "usr/share/bash-completion/completions/tinysnitch",
        "usr/share/zsh/vendor-completions/_tinysnitch",
        "usr/share/fish/vendor_completions.d/tinysnitch.fish",
    } <= files
    assert {path.stem for path in (root / "usr/share/doc/tinysnitch").rglob("*.md")} == {"README", "rules"}


def test_the_window_brings_its_desktop_file_and_unit(tmp_path: Path) -> None:
    write_window_files(SOURCE, tmp_path)
    assert {path.name for path in tmp_path.rglob("*.*")} == {"tinysnitch-prompt.desktop", "tinysnitch-prompt.service"}


def test_the_licences_of_what_is_inside_are_told_and_must_be(tmp_path: Path) -> None:
    for name, line in (
        ("a-1", "License-Expression: MIT"),
        ("b-2", "Classifier: License :: OSI Approved :: BSD"),
        ("tinysnitch-9", ""),
    ):
        folder = tmp_path / PACKAGES / f"{name}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Name: {name[0]}\nVersion: {name[2:]}\n{line}\n")
    target = tmp_path / "copyright"
    write_copyright(tmp_path, "9", target)
    text = target.read_text()
    assert "\na 1: MIT\n" in text
    assert "\nb 2: BSD\n" in text
    assert "GPL-2.0-or-later" in text
    (tmp_path / PACKAGES / "b-2.dist-info/METADATA").write_text("Name: b\nVersion: 2\n")
    with pytest.raises(SystemExit, match=r"b-2\.dist-info names no licence\nhint: "):
        write_copyright(tmp_path, "9", target)


# What takes the place of the machine for the functions of packaging/package.sh.
MACHINE = """
PLACE=$PWD/opt
has_systemd() { [ -n "$HAS_SYSTEMD" ]; }
find_ssh_port() { echo 2222; }
kill() { echo "kill $*"; [ "$1" != -0 ]; }
"""
COMMANDS = {
    "systemctl": 'echo "systemctl $*"; [ "$2" != --quiet ] || [ -n "$ACTIVE" ]',
    "tinysnitch": """[ -z "$RUNNING" ] || echo '{"type":"status","pid":4263,"mode":"bpf"}'""",
    "tinysnitch-closed": 'echo "closed $*"',
    "tinysnitch-iptables-remove": "echo iptables-remove",
    "getent": "exit 0",
}


def call(folder: Path, function: str, **machine: str) -> list[str]:
    (folder / "opt/old/__pycache__").mkdir(parents=True, exist_ok=True)
    for name, text in COMMANDS.items():
        write_script(folder / name, text)
    functions = "".join((ROOT / "packaging" / name).read_text() for name in ("ssh_session.sh", "package.sh"))
    done = subprocess.run(
        ["sh", "-euc", f"{functions}{MACHINE}{function}"],
        cwd=folder,
        env={"PATH": f"{folder}:/usr/bin:/bin", "HAS_SYSTEMD": "", "ACTIVE": "", "RUNNING": "", **machine},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not (folder / "opt/old/__pycache__").exists()
    return [*done.stdout.splitlines(), *done.stderr.splitlines()]


def test_an_installation_starts_nothing_and_says_what_is_next(tmp_path: Path) -> None:
    said = call(tmp_path, "configured", HAS_SYSTEMD="1")
    assert said[:2] == ["systemctl daemon-reload", "systemctl is-active --quiet tinysnitchd"]
    assert [line for line in said if line.startswith("systemctl")] == said[:2]
    assert [line.split()[:2] for line in said if line.startswith("  ")] == [
        ["systemctl", "enable"],
        ["tinysnitch", "be"],
    ]
    assert "tinysnitch rules add allow - 2222 tcp-src" in said[-1]


def test_an_upgrade_restarts_the_daemon_that_runs(tmp_path: Path) -> None:
    said = call(tmp_path, "configured", HAS_SYSTEMD="1", ACTIVE="1")
    assert said[2:] == [
        "systemctl restart tinysnitchd",
        "tinysnitch: the new version runs; nothing new passed in between",
    ]
    (told,) = call(tmp_path, "configured", RUNNING="1")
    assert "kill -USR1 4263" in told


def test_a_removal_ends_the_daemon_and_opens_the_machine(tmp_path: Path) -> None:
    stop = "systemctl disable --now tinysnitchd tinysnitch-closed"
    opened = ["iptables-remove", "closed open"]
    assert call(tmp_path, "before_removal", HAS_SYSTEMD="1") == [stop, *opened]
    by_hand = call(tmp_path, "before_removal", RUNNING="1")
    assert (by_hand[0], by_hand[-2:]) == ("kill 4263", opened)


def test_sums_are_as_sha256sum_checks_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.whl").write_text("a")
    write_sums(tmp_path)
    assert "a.whl" in capsys.readouterr().out
    subprocess.run(["sha256sum", "--quiet", "--check", SUMS], cwd=tmp_path, check=True)
    assert set(MACHINES) == {"amd64", "arm64"}
