"""The command ``facegraph``, assembled from one module per group of commands.

Modules import their dependencies inside the commands, so that ``facegraph --help`` answers immediately.
"""

from __future__ import annotations

import importlib
import os
from functools import partial
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from serve_app import __version__
from serve_app.cli import (
    archive,
    audit,
    clock,
    duplicates,
    enroll,
    index,
    info,
    keys,
    models,
    search,
    tenants,
    unknowns,
)
from serve_app.cli.output import INTERRUPTED, fail, note
from serve_app.process_environment import as_shell, node_environment, start_again_without_breaking_variables

HEAVY = {"serve": ("serve_app.cli.serve", "Run the service on this machine until SIGINT or SIGTERM.")}
"""Commands whose module is imported only when they run: name -> module with a function of that name, help text."""


class Command(TyperCommand):
    """Refuses an option that is given twice: the first value would be ignored."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words after the command's name."""
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for number, each in enumerate(given):
            if each in given[:number] and not getattr(each, "multiple", True):
                ctx.fail(f"{each.opts[0]} was given more than once.")
        return super().parse_args(ctx, args)


class Commands(TyperGroup):
    """Prints expected errors as messages, and imports heavy commands when they run."""

    def main(self, args: Any = None, *more: Any, **options: Any) -> Any:
        """Run the process's own command line, or ``args``, in an environment in which it works."""
        if args is None:
            start_again_without_breaking_variables()
        try:
            return super().main(args, *more, **options)
        except OSError as error:  # of a text that could not be written before a command began
            raise SystemExit(fail(str(error)).exit_code) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Replace the placeholder of a heavy command by the command itself."""
        if args and args[0] in HEAVY:
            name = args[0]
            single = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
            single.command(name, cls=Command)(getattr(importlib.import_module(HEAVY[name][0]), name))
            self.commands[name] = typer.main.get_command(single)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; expected errors become exit code 2, Ctrl-C becomes 130."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            note("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # the reader of a pipe has had enough
            raise
        except OSError as error:
            raise fail(str(error)) from None
        except Exception as error:
            if not _is_expected(error):
                raise
            raise fail(getattr(error, "message", "") or str(error)) from None


def _is_expected(error: Exception) -> bool:
    """Whether an error is one of the service's or the client's, decided by name so that nothing is imported."""
    return any(kind.__module__ in {"serve_app.errors", "serve_app.client.http"} for kind in type(error).__mro__)


app = typer.Typer(
    cls=Commands,
    name="facegraph",
    help="Self-hosted face search.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"facegraph {__version__}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Self-hosted face search: enrol people from images, search for them in new images, get calibrated scores."""
    if context.invoked_subcommand != "models":  # those can be for other users
        context.call_on_close(partial(os.umask, os.umask(0o077)))


@app.command()
def environment() -> None:
    """Print the variables that each node of a Ray cluster needs, for the shell: eval "$(facegraph environment)"."""
    typer.echo(as_shell(node_environment()))


def _described(name: str, text: str) -> None:
    @app.command(name, help=text)
    def placeholder() -> None: ...


for _name, (_, _text) in HEAVY.items():
    _described(_name, _text)
app.command()(enroll.enroll)
app.command()(search.search)
app.command()(duplicates.duplicates)
app.command()(info.info)
app.add_typer(unknowns.app, name="unknowns")
app.add_typer(keys.app, name="keys")
app.add_typer(tenants.app, name="tenants")
app.add_typer(audit.app, name="audit")
app.add_typer(models.app, name="models")
app.add_typer(index.app, name="index")
app.command()(index.reindex)
app.command()(clock.clock)
app.command()(archive.reencrypt)
app.command()(archive.export)
app.command("import")(archive.import_)
for _typer in (app, *(group.typer_instance for group in app.registered_groups)):
    for _command in _typer.registered_commands if _typer else ():
        _command.cls = Command
