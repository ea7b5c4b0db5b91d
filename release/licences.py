"""What is inside a package, and under which licences: the file `copyright` of its documentation."""

from email.message import Message
from email.parser import Parser
from pathlib import Path

from release.environment import PACKAGES

HEAD = """\
tinysnitch: an interactive firewall for Linux
Licence: GPL-2.0-or-later. Its text is in /{packages}/{own}/licenses/LICENSE, and on
Debian in /usr/share/common-licenses/GPL-2.
Copyright 2019-2026 the tinysnitch developers

The package brings these, as their projects publish them; each one's licence is in the folder beside it.
"""
QT = """
Qt and PySide6 are here under GPL-2.0-only. Their sources: the addresses above; Qt's at download.qt.io.
Qt brings ICU, under Unicode-3.0 (copyright Unicode, Inc.).
"""


def write_copyright(root: Path, version: str, target: Path) -> None:
    own = f"tinysnitch-{version}.dist-info"
    folders = [folder for folder in sorted((root / PACKAGES).glob("*.dist-info")) if folder.name != own]
    qt = QT if any(folder.name.startswith("pyside6") for folder in folders) else ""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join((HEAD.format(packages=PACKAGES, own=own), *map(describe, folders), qt)))


def describe(folder: Path) -> str:
    """Raises SystemExit if the project does not say its licence."""
    data = Parser().parsestr((folder / "METADATA").read_text())
    licence = find_licence(data)
    if licence is None:
        raise SystemExit(
            f"error: {folder.name} names no licence\nhint: look for it, and leave the package out without one"
        )
    home = data.get("Home-page") or next((url.partition(", ")[2] for url in data.get_all("Project-URL", [])), "")
    return f"\n{data['Name']} {data['Version']}: {licence}\n  {home}\n  /{PACKAGES}/{folder.name}\n"


def find_licence(data: Message) -> str | None:
    """As an SPDX expression, or else in the words of the project."""
    named = data.get("License-Expression") or data.get("License")
    if named:
        return str(named).splitlines()[0]
    marks = [value for value in data.get_all("Classifier", []) if value.startswith("License :: ")]
    return marks[0].rpartition(" :: ")[2] if marks else None
