"""The package formats: what a package needs is called in each, and which script does which step.

nfpm writes the packages; its settings are made here. It takes SOURCE_DATE_EPOCH for all times.
"""

import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from release.environment import PLACE
from release.source import Source

PROJECT = "tinysnitch"
MAINTAINER = "The tinysnitch developers <developers@tinysnitch.example>"


@dataclass(frozen=True)
class Recipe:
    """packaging/packages.toml."""

    pythons: list[str]
    qt: list[str]
    needs: dict[str, list[str]]
    window_needs: dict[str, list[str]]


@dataclass(frozen=True)
class Format:
    name: str  # as nfpm and packages.toml have it
    python: str  # the path of the Python that runs us
    same_version: str  # how the window says that it needs this very version
    zsh: str  # where completion of zsh goes
    steps: dict[str, str]  # nfpm's name of a script, and the line of shell that it ends with
    window_steps: dict[str, str]
    options: dict[str, Any] = field(default_factory=dict)


DEB = Format(
    "deb",
    "/usr/bin/python3",
    "tinysnitch (= {}-1)",
    "usr/share/zsh/vendor-completions",
    {
        "preinstall": 'if [ "$1" = install ]; then refuse_another; fi',
        "postinstall": 'if [ "$1" = configure ]; then configured; fi',
        "preremove": 'if [ "$1" = remove ]; then before_removal; fi',
        "postremove": 'case "$1" in remove) after_removal ;; purge) forget_all ;; esac',
    },
    {"postinstall": "window_configured", "preremove": "before_window_removal"},
    {"deb": {"compression": "xz"}},
)
RPM = Format(
    "rpm",
    "/usr/bin/python{last}",
    "tinysnitch = {}-1",
    "usr/share/zsh/site-functions",
    {
        "preinstall": 'if [ "$1" = 1 ]; then refuse_another; fi',
        "postinstall": "configured",
        "preremove": 'if [ "$1" = 0 ]; then before_removal; fi',
        "postremove": 'if [ "$1" = 0 ]; then after_removal; fi',
    },
    {"postinstall": "window_configured", "preremove": 'if [ "$1" = 0 ]; then before_window_removal; fi'},
    {"rpm": {"compression": "zstd", "buildhost": PROJECT}},
)
ARCH = Format(
    "archlinux",
    "/usr/bin/python3",
    "tinysnitch={}-1",
    "usr/share/zsh/site-functions",
    {
        "preinstall": "refuse_another",
        "postinstall": "configured",
        "postupgrade": "configured",
        "preremove": "before_removal",
        "postremove": "after_removal",
    },
    {"postinstall": "window_configured", "preremove": "before_window_removal"},
)
FORMATS = (DEB, RPM, ARCH)


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    machine: str  # as Debian says: amd64, arm64
    summary: str
    description: str
    root: Path  # holds the files as they are installed
    needs: list[str]
    steps: dict[str, str]


def read_recipe(source: Source) -> Recipe:
    data = tomllib.loads((source.folder / "packaging/packages.toml").read_text())
    first, last = data["pythons"][0], data["pythons"][-1]
    after = f"3.{int(last.partition('.')[2]) + 1}"
    needs, window_needs = (
        {name: [need.format(first=first, last=last, next=after) for need in needs] for name, needs in data[key].items()}
        for key in ("needs", "window-needs")
    )
    return Recipe(data["pythons"], data["qt"], needs, window_needs)


def write_package(package: Package, form: Format, source: Source, work: Path, target: Path) -> None:
    """`work`: a folder for the settings and the scripts."""
    work.mkdir(parents=True)
    functions = "".join((source.folder / "packaging" / name).read_text() for name in ("ssh_session.sh", "package.sh"))
    scripts = {
        step: str(write_script(work / step, form, f"{functions}\n{call}\n")) for step, call in package.steps.items()
    }
    path = work / "nfpm.json"
    path.write_text(json.dumps(settings_of(package, form, scripts)))
    command = [str(Path(sys.executable).with_name("nfpm")), "package", "--config", str(path)]
    command += ["--packager", form.name, "--target", str(target.absolute())]
    subprocess.run(command, env=source.environment, check=True, stdout=subprocess.DEVNULL)


def settings_of(package: Package, form: Format, scripts: dict[str, str]) -> dict[str, Any]:
    settings = {
        "name": package.name,
        "version": package.version,
        "release": "1",
        "arch": package.machine,
        "section": "net",
        "priority": "optional",
        "license": "GPL-2.0-or-later",
        "maintainer": MAINTAINER,
        "description": f"{package.summary}\n{package.description}",
        "umask": 0o022,
        "depends": package.needs,
        "contents": list_contents(package.root),
        "scripts": {step: path for step, path in scripts.items() if step != "postupgrade"},
        **form.options,
    }
    if "rpm" in settings:
        settings["rpm"] = {**settings["rpm"], "summary": package.summary}
    if "postupgrade" in scripts:
        settings["archlinux"] = {"scripts": {"postupgrade": scripts["postupgrade"]}}
    return settings


def list_contents(root: Path) -> list[dict[str, Any]]:
    """Every file and link, and the folders of ours: others belong to the distribution."""
    contents: list[dict[str, Any]] = []
    for path in sorted(root.rglob("*")):
        place = f"/{path.relative_to(root)}"
        if path.is_symlink():
            contents.append({"src": str(path.readlink()), "dst": place, "type": "symlink"})
        elif path.is_dir():
            if place.startswith(f"/{PLACE}") or place.endswith(f"/doc/{PROJECT}"):
                contents.append({"dst": place, "type": "dir", "file_info": {"mode": 0o755}})
        else:
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            contents.append({"src": str(path), "dst": place, "file_info": {"mode": mode}})
    return contents


def write_script(path: Path, form: Format, text: str) -> Path:
    # Those of Arch become functions of one script.
    head = "" if form is ARCH else "#!/bin/sh\nset -e\n"
    path.write_text(head + text)
    path.chmod(0o755)
    return path
