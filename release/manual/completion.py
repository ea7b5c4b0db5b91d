"""Where shells look for the scripts by which they complete commands; commandline/completion.py has the scripts."""

import click

from tinysnitch.commandline.completion import SHELLS, variable_of

PLACES = {
    "bash": "bash-completion/completions/{}",
    "zsh": "zsh/site-functions/_{}",
    "fish": "fish/vendor_completions.d/{}.fish",
}


def write_completion(name: str, command: click.Command) -> dict[str, str]:
    """The script of each shell, and its place below /usr/share."""
    return {PLACES[shell.name].format(name): shell(command, {}, name, variable_of(name)).source() for shell in SHELLS}
