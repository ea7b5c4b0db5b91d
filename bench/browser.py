"""Firefox on a screen of its own, and a page for it: one address to type, and eight more names behind it."""

import json
import subprocess
import time
from pathlib import Path

from PIL import Image, ImageDraw

from bench.film import TYPED_S, ScreenSight, Terminals
from tests.lab.lab import Lab
from tests.lab.patience import wait_until
from tests.lab.private_machine import PrivateMachine
from tests.lab.stubs import set_resolvers
from tests.lab.world import MORE_WORLD4
from tests.qt.screen import Screen

PROGRAM = "firefox-esr"
SITE = "news.test"
TRACKERS = ["t.tracker.test", "pixel.tracker.test"]
NAMES = [  # whose pictures the page is made of
    "img.news.test",
    *TRACKERS,
    "cdn.pictures.test",
    "fonts.letters.test",
    "video.streams.test",
    "api.weather.test",
    "talk.comments.test",
]
_RESOLVER = MORE_WORLD4[-1]  # one of the world's addresses, at which nobody serves names yet
_COLORS = ("#c0392b", "#2471a3", "#1e8449", "#b9770e", "#7d3c98")
_PAGE = """<!doctype html><meta charset="utf-8"><title>The News</title>
<style>
body {{ font: 13px "DejaVu Sans"; margin: 8px 16px; color: #222; background: #fdfcf8 }}
h1 {{ font: bold 22px "DejaVu Serif"; margin: 0 0 6px }}
main {{ display: grid; grid-template-columns: repeat(4, 1fr); gap: 6px 14px }}
img {{ display: block; width: 100%; height: 30px; background: #e7e4da }}
</style>
<h1>The News</h1><main>{tiles}</main>
"""
_PREFERENCES = {
    # As large as the terminal beside it, without a first-run page, and without movements that only cost frames.
    "layout.css.devPixelsPerPx": "2.0",
    "browser.uidensity": 1,
    "browser.toolbars.bookmarks.visibility": "never",
    "browser.aboutwelcome.enabled": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.startup.page": 0,
    "browser.newtabpage.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "termsofuse.bypassNotification": True,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.legacyUserProfileCustomizations.stylesheets": True,
    "ui.prefersReducedMotion": 1,
    # The lab's names have no certificates, and are asked for over DNS.
    "dom.security.https_first_schemeless": False,
    "network.trr.mode": 5,
    # Nothing is asked for before the page is.
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}
# No list of pages and search engines below the address.
_LOOKS = ".urlbarView { display: none !important }"


def lay_out(lab: Lab) -> None:
    """Write the page, and give its names addresses at a resolver that this machine then asks."""
    site = lab.folder / "world" / "www"
    for number, color in enumerate(_COLORS):
        _draw_picture(color).save(site / f"{number}.png")
    tiles = (
        f'<div><img src="http://{name}/{number % len(_COLORS)}.png">{name}</div>' for number, name in enumerate(NAMES)
    )
    (site / "index.html").write_text(_PAGE.format(tiles="".join(tiles)))
    records = [f"--host-record={name},{address}" for name, address in zip([SITE, *NAMES], MORE_WORLD4, strict=False)]
    options = ["--no-hosts", "--no-resolv", "--bind-interfaces", "--user=root", "--log-facility=-", "--local-ttl=600"]
    command = [
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file=",
        f"--listen-address={_RESOLVER}",
    ]
    lab.namespaces.start_server([*lab.namespaces.enter_world(), *command, *options, *records], "started")
    set_resolvers(lab, _RESOLVER)


def _draw_picture(color: str) -> Image.Image:
    """Hills below a sun."""
    picture = Image.new("RGB", (372, 60), color)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((260, 8, 296, 44), fill="#f7dc6f")
    draw.polygon([(0, 60), (90, 16), (170, 50), (240, 26), (372, 60)], fill="#fdfcf8")
    return picture


class Browser:
    """Firefox, which fills the screen."""

    def __init__(self, terminals: Terminals, machine: PrivateMachine, screen: Screen) -> None:
        self._screen = screen
        words = ["env", f"DISPLAY={screen.display}", f"XRE_PROFILE_PATH={_write_profile(machine)}", PROGRAM]
        terminals.open("browser", (80, 24), [*machine.enter(), *words])
        wait_until(self._find_windows, "no window of Firefox")
        time.sleep(5)  # until it has painted, and takes keys
        window = self._find_windows()[0]
        self._hands("windowmove", window, "0", "0", "windowsize", window, str(screen.width), str(screen.height))
        self._hands("mousemove", str(screen.width), str(screen.height), "key", "ctrl+l")
        time.sleep(1)

    def look(self) -> ScreenSight:
        return ScreenSight(self._screen.look(), self._screen.width, self._screen.height)

    def visit(self, address: str) -> None:
        self._hands("type", "--delay", str(round(TYPED_S * 1000)), address)
        self._hands("key", "Return")

    def _find_windows(self) -> list[str]:
        return self._hands("search", "--onlyvisible", "--name", "Firefox").split()

    def _hands(self, *words: str) -> str:
        done = subprocess.run(["xdotool", *words], env=self._screen.environment(), capture_output=True, text=True)
        return done.stdout


def _write_profile(machine: PrivateMachine) -> Path:
    """Its path is told to Firefox in the environment, since a question shows the arguments."""
    folder = machine.home / "profile"
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in _PREFERENCES.items()]
    (folder / "chrome").mkdir(parents=True)
    (folder / "chrome" / "userChrome.css").write_text(_LOOKS)
    (folder / "user.js").write_text("".join(lines))
    return folder
