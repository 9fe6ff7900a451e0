"""The `rnnbench` command: its groups, and the border where every error becomes one line or a traceback."""

import gc
import io
import sys

import typer

from rnnbench.base.errors import RnnbenchError
from rnnbench.base.files import is_disk_full
from rnnbench.base.log import start_logging
from rnnbench.cli import bench, catalogue, compare, data, doctor, export, own, predict, results, services, storage, submit, sweep, train

app = typer.Typer(
    name="rnnbench",
    help="Compare recurrent networks: plan, run, record and report hyper-parameter sweeps.\n\nStart with: rnnbench sweep lstm",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (sweep, submit, results, compare, predict, export, train, catalogue, data, services, storage, doctor, bench, own):
    group.register(app)


@app.callback(invoke_without_command=True)
def options(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log what happens to standard error."),
) -> None:
    """Compare recurrent networks: plan, run, record and report hyper-parameter sweeps.

    Start with: rnnbench sweep lstm
    """
    start_logging(verbose)
    if version:
        from rnnbench.base.version import __version__

        typer.echo(f"rnnbench {__version__}")
        raise typer.Exit


def main() -> None:
    """Runs the command line; a user's mistake is one line on standard error, ours is a traceback (exit 1)."""
    # What a command imports is never garbage: looking for it at every step costs a tenth of `status`.
    gc.set_threshold(50_000)
    for stream in (sys.stdout, sys.stderr):
        # A letter that a terminal cannot show is no reason to stop.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app()
    except RnnbenchError as error:
        print(f"rnnbench: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if not is_disk_full(error):
            raise
        print(f"rnnbench: no room left on the disk ({error.filename}); free some, then run the command again", file=sys.stderr)
        sys.exit(1)
    finally:
        # The end of the process would look through all of it once more, half a second to a second after a sweep.
        gc.freeze()
