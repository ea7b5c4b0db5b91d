"""`tinysnitch prompt`: the prompt in the terminal."""

import click

from tinysnitch.cli.options import examples, socket_option


@click.command("prompt", epilog=examples("tinysnitch prompt", "tinysnitch prompt --plain"))
@click.option("--plain", is_flag=True, help="Lines instead of a full screen: for a serial line or a screen reader.")
@socket_option
def prompt_command(plain: bool, socket_path: str) -> int:
    """Show each question as it comes, and answer it with a key."""
    from tinysnitch.tui.prompt_app import run_prompt

    return run_prompt(socket_path, plain)
