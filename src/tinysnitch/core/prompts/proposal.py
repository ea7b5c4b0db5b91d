"""What a prompt proposes first: nine minutes, this name and port, and these arguments.

What will be different the next time is left open, since a rule with it would match only once, and people would be asked
again and again:

1. Arguments that a program gave to itself. Browsers start themselves anew for each task, with numbers that never come
   again (`--field-trial-handle=3,i,8459356107866096316`). Interpreters and shells run anything, so their arguments
   stay; except for workers, whose rule names their starter instead (core/prompts/workers.py).
2. Arguments of helpers that other programs start. What these arguments are stands below, beside each helper's name.
   Also those that name a folder which is new at each start (core/prompts/ephemeral_paths.py).
3. What a desktop program was started to open: a link, a mail, a torrent, a film, a project. The same process then makes
   all other connections. From a menu it is started without arguments, and a rule for none, `()`, would not match the
   next link.
   The same holds for what a flatpak is given to open (`flatpak run ID URL`), whose rule is for all that it runs.
   Arguments that name a profile of Firefox stay, unless Selenium or Playwright made that profile for the moment.
4. A port that the kernel chose. If a program asks the whole link over UDP (SSDP, say), each machine that answers is a
   question of its own; browsers use another port two minutes later. The same holds for a service that answers what was
   asked on the link (Avahi, say): the question went to the group, so the answer is a flow of its own.
5. Ports that are counted up, one for each probe or session, and ports that were told at another one, as for FTP
   (negotiated_ports.py).

For a service's talk on the link the first proposal is `lan` (core/prompts/lan_traffic.py).

Where earlier answers agree, the proposal is wider than the question (core/prompts/learned_proposal.py).

What observe mode makes of a connection: the rule that a prompt would propose, and wider ones.

A server has other clients tomorrow, and what a timer starts may have the time among its arguments. One connection does
not show that: it gets a rule of its own. Once many such rules differ in nothing else, a wider one takes their place.
"""

import re
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from tinysnitch.core.model.clock import Instant
from tinysnitch.core.model.connection import Connection
from tinysnitch.core.model.flow import UDP, Direction, Flow
from tinysnitch.core.model.process import FLATPAK, Process
from tinysnitch.core.model.verdict import Verdict
from tinysnitch.core.policy.active_rules import ActiveRules
from tinysnitch.core.programs.interpreters import is_called_like_one
from tinysnitch.core.prompts.answer import rule_for_choice, without_secret
from tinysnitch.core.prompts.choice import Choice, Lifetime, RemoteScope
from tinysnitch.core.prompts.ephemeral_paths import find_lasting_pattern
from tinysnitch.core.prompts.lan_traffic import KERNELS_PORTS
from tinysnitch.core.prompts.learned_proposal import learn_proposal
from tinysnitch.core.prompts.workers import find_starter
from tinysnitch.core.rules.rule import RemoteKind, Rule

_MOSH = "mosh-client"
_PROBED_PORTS = range(33434, 33534)  # traceroute(8): three probes for each of 30 hops, and room for a few more
# mtr(8) from 33000 on, for as long as it runs; tracepath(8): 44444; mosh-server(1): from 60001 on
_COUNTERS = frozenset({"mtr-packet", "tracepath", _MOSH})
# The server of VS Code, and of editors made from it, on a remote machine: a token or a socket. Below a home it is run
# by a Node.js of its own.
_SERVER_MAIN = "server-main.js"
_VSCODE = re.compile(r"/.*/\.[^/]+-server/.*/node", re.DOTALL)
_HELPERS = frozenset(
    {
        # For a rootless container: its process id, or the name of its network namespace (slirp4netns(1), pasta(1)).
        # Outside Debian pasta is a symbolic link to passt, which for a virtual machine of libvirt has a socket of the
        # moment.
        *("slirp4netns", "pasta", "pasta.avx2", "passt", "passt.avx2"),
        "docker-proxy",  # publishes a port: the address that the container got at its start
        # For desktop programs: numbers of descriptors or of the session bus, or the name of a socket.
        *("WebKitNetworkProcess", "WPENetworkProcess"),  # ProcessLauncher of WebKit
        *("jcef_helper", "obs-browser-page"),  # of Chromium within an IDE of JetBrains, or OBS
        *("kioworker", "kioslave5"),  # ConnectionBackend of KIO
        "dirmngr",  # for gpg with keys in a folder of the moment (apt-key, add-apt-repository): that folder
        "ansible_connection_cli_stub.py",  # start_connection() of Ansible: its process, and the id of a task
        "__pip-runner__.py",  # BuildEnvironment of pip: a folder of this build
        "pingsender",  # TelemetrySend of Firefox: an address and a file for each report
        "workerd",  # Runtime of miniflare: a port of the moment
        "smbspool",  # for CUPS, to a printer of Windows: among the backends there is only a link to it
        "git-lfs",  # for git's hooks: the address of a repository, or a file
        "msmtp",  # for mutt, git and cron: the recipients
        _MOSH,  # the port
        _SERVER_MAIN,
    }
)
_PRINTING = re.compile(r"/.*/cups/backend/[^/]+", re.DOTALL)  # backend(7): job, user, title, copies, options
_PIPENV = "/pipenv/resolver/main.py"  # its resolve(): the names of two files of the moment
# For git, followed by http, https or the like: the address of a repository, and a clone with submodules has many.
_GIT = "git-remote-"
_GVFS = "gvfsd-"  # for desktop programs, one for each protocol: gvfsd-dav, gvfsd-smb
_PULUMI = "pulumi-resource-"  # for pulumi, one for each kind of cloud: a port of the moment
_WITH_PROFILES = frozenset(  # Firefox, and browsers made from it
    {"firefox", "firefox-esr", "firefox-bin", "librewolf", "waterfox", "floorp", "thunderbird", "thunderbird-bin"}
)
_PROFILE = frozenset({"-P", "-p", "-profile", "--profile"})  # options of a person who keeps several profiles apart
_OPENERS = frozenset(
    {
        *("falkon", "konqueror", "qutebrowser", "angelfish"),  # Qt's WebEngine connects within their own process
        *("dillo", "netsurf-gtk"),
        *("claws-mail", "evolution"),
        *("qbittorrent", "qbittorrent-nox", "transmission-gtk", "transmission-qt", "ktorrent", "deluge", "deluge-gtk"),
        *("mpv", "vlc", "celluloid", "haruna", "totem", "spotify"),
        *("telegram-desktop", "Telegram", "zoom", "steam"),
        "zed-editor",  # Zed: a socket of the moment, from the command that starts it
        # JetBrains' launchers, which run the IDE in their own process: the folder of a project
        *("idea", "pycharm", "webstorm", "phpstorm", "goland", "clion", "rubymine", "rider", "rustrover", "datagrip"),
    }
)


class Proposal(msgspec.Struct, frozen=True):
    choice: Choice
    widened: str = ""  # why it covers more than its question; "" if it does not
    alone: Choice | None = None  # if it is widened: that for the question alone, and for the other verdict


def propose_by_answers(connection: Connection, rules: ActiveRules, now: Instant) -> Proposal:
    """What is proposed where no rule asks: wider than the question where earlier answers agree."""
    alone = propose(connection)
    learned = learn_proposal(connection, alone.choice, rules, now)
    return Proposal(learned.choice, learned.reason, alone.choice) if learned else alone


def propose(connection: Connection) -> Proposal:
    return Proposal(without_secret(connection, choose_first(connection)))


def choose_first(connection: Connection) -> Choice:
    first = Choice(verdict=Verdict.ALLOW)
    process = connection.attribution.process
    if process is None:
        return first
    called = process.program.rpartition("/")[2]
    is_other_next_time = _started_itself(process) or _is_helper(process, called) or _was_opened_for(process, called)
    is_other_next_time = is_other_next_time or _names_ephemeral_folder(process)
    any_args = is_other_next_time or _is_told_by_starter(connection, process)
    any_port = connection.is_port_negotiated or _is_of_the_moment(connection.flow, called)
    remote = RemoteScope.DOMAIN if connection.is_lan_traffic else first.remote
    return msgspec.structs.replace(first, remote=remote, any_args=any_args, any_port=any_port)


def choose_first_for_ever(connection: Connection) -> Choice:
    return msgspec.structs.replace(choose_first(connection), lifetime=Lifetime.FOREVER)


def _is_of_the_moment(flow: Flow, called: str) -> bool:
    """Whether the port will be another one next time."""
    if flow.protocol != UDP:
        return False
    if flow.direction is Direction.INBOUND:
        return flow.local_port in KERNELS_PORTS
    is_answer = flow.remote_port in KERNELS_PORTS and flow.local_port not in KERNELS_PORTS
    return is_answer or flow.remote_port in _PROBED_PORTS or called in _COUNTERS


def _is_helper(process: Process, called: str) -> bool:
    is_known = called in _HELPERS or called.startswith((_GVFS, _GIT, _PULUMI))
    is_found = process.program.endswith(_PIPENV) or _PRINTING.fullmatch(process.program) is not None
    return is_known or is_found or _is_vscodes(process)


def _is_vscodes(process: Process) -> bool:
    folder = process.program.removesuffix("/node")
    return process.args[:1] == (f"{folder}/out/{_SERVER_MAIN}",) and _VSCODE.fullmatch(process.program) is not None


def _was_opened_for(process: Process, called: str) -> bool:
    """Whether the arguments are what the program was started to open, or none since a menu started it.

    Selenium and Playwright start Firefox with a profile below /tmp, made for the moment.
    """
    if called in _OPENERS:
        return True
    if called in _WITH_PROFILES:
        is_of_moment = any("://" in arg or arg.startswith("/tmp/") for arg in process.args)
        return is_of_moment or _PROFILE.isdisjoint(process.args)
    is_boxed = not process.is_host_file and any(owner.startswith(FLATPAK) for owner in process.owners)
    return is_boxed and any("://" in arg for arg in process.args)


def _names_ephemeral_folder(process: Process) -> bool:
    """Whether its arguments name the folder that it runs from, as those of an AppImage's own Python or a test of Go do
    (`-test.testlogfile=/tmp/go-build...`)."""
    paths = (arg[arg.find("/") :] for arg in process.args)
    return find_lasting_pattern(process.program) is not None and any(map(find_lasting_pattern, paths))


def _is_told_by_starter(connection: Connection, process: Process) -> bool:
    """Whether a rule for any arguments would be for the workers of one program alone, by its parent=.

    A rule has one parent. Where the rule that asks has another one, that one may have started more than these workers.
    """
    starter = find_starter(process)
    return starter is not None and connection.asking.parent in (None, starter)


def _started_itself(process: Process) -> bool:
    parent = process.parents[0] if process.parents else ""
    is_same = parent == process.program == process.executable
    return is_same and bool(process.args) and not is_called_like_one(process.executable)


def learn_rule(connection: Connection, asked_by: Rule | None, wall_s: float) -> tuple[Rule, tuple[Rule, ...]]:
    """The rule, and wider ones; none if a rule asks (`asked_by`), since they might not be narrower than that."""
    choice = choose_first_for_ever(connection)
    rule = rule_for_choice(connection, choice, wall_s)
    wider = () if asked_by else _widen(connection, rule, choice)
    return rule, tuple(rule_for_choice(connection, each, wall_s) for each in wider)


def _widen(connection: Connection, rule: Rule, choice: Choice) -> Iterator[Choice]:
    process = connection.attribution.process
    if rule.remote.kind is RemoteKind.NETWORK:
        scope = RemoteScope.DOMAIN if connection.is_from_lan else RemoteScope.ANY
        yield replace(choice, remote=scope)
    if rule.args and process and not is_called_like_one(process.program):  # with any arguments these run anything
        yield replace(choice, any_args=True)
