"""The environment of a package: /opt/tinysnitch, filled from wheels.

It is a virtual environment on the distribution's Python, so that the distribution keeps Python safe. Nothing in it is
made at the installation, and no version of Python is in a path: the wheels of each version lie in one folder, since
their machine code has the version in its name, and a link for each version leads there. So the distribution's next
Python finds its own at once. The package needs a Python of these versions (release/formats.py): no upgrade can take the
last of them away and leave the package.
"""

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from configparser import ConfigParser
from pathlib import Path

PLACE = "opt/tinysnitch"
PACKAGES = f"{PLACE}/lib/python/site-packages"
# glibc of Ubuntu 24.04 is 2.39
PLATFORMS = ("manylinux_2_39", "manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
CONFIG = "home = /usr/bin\ninclude-system-site-packages = false\n"
COMMAND = """\
#!/{place}/bin/python -I
import sys

from {module} import {function}

sys.exit({function}())
"""
# Differ between wheels of one version of a package, and are for pip, which is not used here.
OF_PIP = ("RECORD", "WHEEL", "INSTALLER")


def download(pins: Path, machine: str, python: str, folder: Path) -> list[Path]:
    """The wheels of a file of pins, into a new folder below `folder`. pip remembers what it fetched once."""
    target = folder / f"{pins.stem}-{machine}-{python}"
    platforms = [word for name in PLATFORMS for word in ("--platform", f"{name}_{machine}")]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *platforms]
    command += ["--python-version", python, "--dest", str(target), "--requirement", str(pins)]
    subprocess.run(command, check=True)
    return sorted(target.glob("*.whl"))


def unpack(wheel: Path, packages: Path, parts: Sequence[str] = ("",)) -> None:
    """What begins with one of the parts. Raises SystemExit if another wheel brought another file for the same place."""
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if entry.is_dir() or not is_needed(entry.filename, parts):
                continue
            target, text = packages / entry.filename, archive.read(entry)
            if target.exists() and target.read_bytes() != text:
                raise SystemExit(f"error: two wheels differ in {entry.filename}\nhint: they cannot share one folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text)


def is_needed(name: str, parts: Sequence[str]) -> bool:
    if name.partition("/")[0].endswith(".data"):  # the manual: in a package it is the distribution's
        return False
    if name.partition("/")[0].endswith(".dist-info"):
        return name.rpartition("/")[2] not in OF_PIP
    return name.startswith(tuple(parts))


def write_environment(root: Path, python: str, versions: Sequence[str]) -> None:
    """All but the wheels. `python`: the path of the Python that runs it, which is of one of the versions."""
    place = root / PLACE
    (place / "bin").mkdir(parents=True)
    (place / "pyvenv.cfg").write_text(CONFIG)
    (place / "bin/python").symlink_to(python)
    for version in versions:
        (place / f"lib/python{version}").symlink_to("python")
    (root / "usr/bin").mkdir(parents=True)
    for name, function in read_commands(root / PACKAGES).items():
        module, _, function = function.partition(":")
        command = place / "bin" / name
        command.write_text(COMMAND.format(place=PLACE, module=module, function=function))
        command.chmod(0o755)
        (root / "usr/bin" / name).symlink_to(f"/{PLACE}/bin/{name}")


def read_commands(packages: Path) -> dict[str, str]:
    """The commands of our own wheel, and the function of each."""
    (text,) = packages.glob("tinysnitch-*.dist-info/entry_points.txt")
    parser = ConfigParser()
    parser.read_string(text.read_text())
    return dict(parser["console_scripts"])
