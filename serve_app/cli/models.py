"""``facegraph models``: list, fetch and verify model files; the group also has ``calibrate`` and ``switch``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.calibrate import calibrate
from serve_app.cli.embedder_status import switch
from serve_app.cli.options import AsJson, Config, settings_of
from serve_app.cli.output import FAILED, fail, note, print_json, show_whole, stderr, stdout, table, warn

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from serve_app.settings import Settings
    from serve_app.vision.model_files import ModelFiles, ModelStatus

app = typer.Typer(help="The model files: list, fetch, verify, calibrate, switch.", no_args_is_help=True)
app.command()(calibrate)
app.command()(switch)

Names = Annotated[list[str] | None, typer.Argument(help="Model ids.", show_default="all")]


@app.command("list")
def list_models(config: Config = None, as_json: AsJson = False) -> None:
    """List the models of the catalogue, whether the service uses them, and where their files are."""
    settings, files = _open(config)
    found = [files.status(entry) for entry in _chosen(None)]
    used = _used(settings)
    if as_json:
        print_json([{**_facts(status), "used": status.entry.id in used} for status in found])
        return
    shown = table("", "model", "task", "used", "size", "licence", "state", "from", right=("size",))
    for status in found:
        entry = status.entry
        size = f"{entry.size / 2**20:.1f} MiB"
        mark = "yes" if entry.id in used else ""
        shown.add_row(entry.id, entry.task, mark, size, entry.licence, str(status.state), status.source or "")
    show_whole(shown)


@app.command()
def pull(
    names: Annotated[
        list[str] | None, typer.Argument(help="Model ids.", show_default="those that the service uses")
    ] = None,
    config: Config = None,
) -> None:
    """Fetch missing model files.

    The exit code is 1 if the detector, the embedder or a model in the arguments is missing. It is 0 if only other
    liveness models are missing: the service runs without them and warns.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from serve_app.errors import ModelFileError

    settings, files = _open(config)
    needed = set(names or ()) | {settings.detector.model, settings.embedder.model}
    failed: list[str] = []
    lacking: list[str] = []
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=stderr) as progress:
        for entry in _chosen(names or sorted(_used(settings))):
            task = progress.add_task(entry.id, total=entry.size)
            try:
                files.locate(entry, _updater(progress, task))
            except ModelFileError as error:
                progress.update(task, visible=False)
                (failed if entry.id in needed else lacking).append(error.message)
                continue
            progress.update(task, completed=entry.size)
    for message in lacking:
        warn(f"Skipped: {message}")
    if failed:
        fail("\n".join(failed))
        raise typer.Exit(FAILED)
    note(f"The model files are available (cache: {files.cache_dir}).")


@app.command()
def verify(names: Names = None, config: Config = None, as_json: AsJson = False) -> None:
    """Check the checksums of the model files, without network access. Exit code 1 if one is missing or damaged."""
    _, files = _open(config)
    found = [files.status(entry) for entry in _chosen(names)]
    if as_json:
        print_json([_facts(status) for status in found])
    else:
        shown = table("", "model", "state", "file or problem")
        for status in found:
            shown.add_row(status.entry.id, str(status.state), str(status.path or "\n".join(status.problems)))
        stdout.print(shown)
    if any(status.path is None for status in found):
        raise typer.Exit(FAILED)


def _open(config: Any) -> tuple[Settings, ModelFiles]:
    from serve_app.vision.model_files import ModelFiles

    settings = settings_of(config)
    return settings, ModelFiles(settings.model_dir, settings.model_cache_dir)


def _chosen(names: list[str] | None) -> list[Any]:
    from serve_app.vision.catalogue import Catalogue

    catalogue = Catalogue.load()
    return [catalogue.get(name) for name in names] if names else list(catalogue)


def _used(settings: Settings) -> set[str]:
    return {settings.detector.model, settings.embedder.model, *settings.liveness.models}


def _facts(status: ModelStatus) -> dict[str, Any]:
    entry = status.entry.model_dump(include={"id", "task", "title", "file", "sha256", "size", "licence"})
    facts: dict[str, Any] = {
        "state": status.state,
        "path": status.path,
        "source": status.source,
        "problems": status.problems,
    }
    return entry | facts


def _updater(progress: Progress, task: TaskID) -> Callable[[int, int], None]:
    return lambda done, size: progress.update(task, completed=done, total=size)
