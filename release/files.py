"""What a package installs beside the environment: links, units, pages and examples, at the distribution's places."""

import gzip
import shutil
from email.utils import formatdate
from pathlib import Path

from release.documents import documents
from release.formats import MAINTAINER, PROJECT
from release.source import Source

COMMANDS_OF_A_CLONE = "/usr/local/bin/"
DOC = "usr/share/doc"


def write_service_files(source: Source, root: Path) -> None:
    """The units, none of which is enabled, and what starts the daemon where there is no systemd."""
    packaging = source.folder / "packaging"
    units = root / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for name in ("tinysnitchd", "tinysnitch-closed", "tinysnitch-open"):
        copy_unit(packaging / f"{name}.service", units)
    command = root / "usr/bin/tinysnitch-closed"
    shutil.copy(packaging / "tinysnitch-closed", command)
    command.chmod(0o755)


def copy_unit(unit: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / unit.name).write_text(unit.read_text().replace(COMMANDS_OF_A_CLONE, "/usr/bin/"))


def write_pages(source: Source, root: Path, package: str, zsh: str) -> None:
    """Documentation; and the manual, which the release has put into the folder `share` of the sources."""
    folder = root / DOC / package
    for page in documents(source.folder):
        target = folder / page.relative_to(source.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(page, target)
    write_compressed((source.folder / "CHANGELOG.md").read_bytes(), folder / "changelog.gz")
    shutil.copytree(source.folder / "packaging/examples", folder / "examples", symlinks=True)
    shutil.copyfile(source.folder / "packaging/tinysnitch.toml", folder / "examples/tinysnitch.toml")
    share = source.folder / "share"
    for page in sorted(share.glob("man/*/*")):
        write_compressed(page.read_bytes(), root / f"usr/share/{page.relative_to(share)}.gz")
    for script in (
        each for each in sorted(share.rglob("*")) if each.is_file() and not each.is_relative_to(share / "man")
    ):
        target = root / "usr/share" / script.relative_to(share)
        if script.is_relative_to(share / "zsh"):
            target = root / zsh / script.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(script, target)


def write_window_files(source: Source, root: Path) -> None:
    packaging = source.folder / "packaging"
    applications = root / "usr/share/applications"
    applications.mkdir(parents=True)
    shutil.copyfile(packaging / "tinysnitch-prompt.desktop", applications / "tinysnitch-prompt.desktop")
    copy_unit(packaging / "tinysnitch-prompt.service", root / "usr/lib/systemd/user")


def write_debian_files(source: Source, root: Path, package: str, version: str) -> None:
    """What Debian's policy asks for, and why lintian need not complain of the rest."""
    date = formatdate(source.committed_s)
    entry = f"{PROJECT} ({version}-1) stable; urgency=medium\n\n  * changelog.gz says what is new.\n\n"
    entry += f" -- {MAINTAINER}  {date}\n"
    write_compressed(entry.encode(), root / DOC / package / "changelog.Debian.gz")
    target = root / "usr/share/lintian/overrides" / package
    target.parent.mkdir(parents=True)
    lines = (source.folder / "packaging/lintian-overrides").read_text().splitlines()
    target.write_text("".join(f"{line}\n" if line.startswith("#") else f"{package}: {line}\n" for line in lines))


def write_compressed(text: bytes, target: Path) -> None:
    """With no time and no name in it, so that the same text gives the same bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(text, mtime=0))
