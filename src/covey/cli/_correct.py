"""`covey edit`: correct the result of a project, one edit a call."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covey.cli._console import apply_options, echo_json
from covey.cli._options import project_argument
from covey.cli._output import echo

if TYPE_CHECKING:
    from covey.corrections import EditReport, ProjectCuration

_later = click.option("--with-later", is_flag=True, help="Take along the edits that depend on it.")


def _images(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the images that an edit is about; the command gets them as ``images``, a list of strings."""

    @wraps(function)
    def call(*args: Any, images: tuple[str, ...], images_from: Path | None, **given: Any) -> Any:
        return function(*args, images=_read_images(images, images_from), **given)

    return apply_options(
        call,
        [
            click.argument("images", metavar="IMAGE...", nargs=-1),
            click.option(
                "--images-from",
                type=click.Path(path_type=Path, allow_dash=True),
                metavar="FILE|-",
                help="A list of images, one a line; - is standard input.",
            ),
        ],
    )


def _edit_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what every edit has; the command gets ``uuid`` and ``as_json``."""
    return apply_options(
        function,
        [
            click.option("--uuid", metavar="TEXT", help="Name of the edit; sent twice, it is stored once."),
            click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
        ],
    )


@click.group("edit", subcommand_metavar="OPERATION [ARGS]...")
@project_argument
@click.pass_context
def edit(context: click.Context, /, project: Path) -> None:
    """Correct the result of a project.

    The run itself is never changed: every correction is an edit that is kept, shown by `covey edits PROJECT show`, and
    can be undone. CLUSTER is a number or a name. IMAGE is a path as in assignments.csv, a path on disk, or the first
    eight or more characters of an id.

    \b
        covey edit PROJECT rename 3 "water lily"
        covey edit PROJECT merge flower "water lily"
        covey edit PROJECT move photos/017.jpg photos/018.jpg --to flower
        covey edit PROJECT undo
    """  # noqa: D301  \b is click's mark for a paragraph that keeps its lines
    context.obj = project


def _run(project: Path, as_json: bool, act: "Callable[[ProjectCuration], EditReport]") -> None:
    """Open the corrected result, edit it, and say what was done."""
    from covey.corrections import open_curation
    from covey.store import Project

    with Project.open(project) as opened:
        report = act(open_curation(opened, author="cli"))
    if as_json:
        echo_json(dataclasses.asdict(report))
        return
    unchanged = f" ({report.n_unchanged} unchanged)" if report.n_unchanged else ""
    known = "" if report.is_new else " (was stored before)"
    echo(f"{report.seq}  {report.summary}{unchanged}{known}")


def _read_images(named: Sequence[str], source: Path | None) -> list[str]:
    """Return the images that were named, on the command line or in a file."""
    images = list(named)
    if source is not None:
        with click.open_file(str(source), encoding="utf-8", errors="surrogateescape") as file:
            images += [line.rstrip("\n") for line in file if line.strip()]
    return images


def _check_some(images: Sequence[str]) -> None:
    if not images:
        raise click.UsageError("Name one or more images, or a file of them with --images-from.")


@edit.command()
@click.argument("cluster")
@click.argument("name")
@_edit_options
@click.pass_obj
def rename(project: Path, /, *, cluster: str, name: str, uuid: str | None, as_json: bool) -> None:
    """Name a cluster; an empty NAME brings the run's back."""
    _run(project, as_json, lambda curation: curation.rename(cluster, name, uuid=uuid))


@edit.command()
@click.argument("into", metavar="CLUSTER")
@click.argument("sources", metavar="OTHER...", nargs=-1, required=True)
@click.option("--name", help="Name of the union.  [default: one given by hand, else that of the largest]")
@_edit_options
@click.pass_obj
def merge(
    project: Path, /, *, into: str, sources: tuple[str, ...], name: str | None, uuid: str | None, as_json: bool
) -> None:
    """Merge other clusters into CLUSTER, which keeps its number."""
    _run(project, as_json, lambda curation: curation.merge(into, *sources, name=name, uuid=uuid))


@edit.command()
@_images
@click.option("--to", metavar="CLUSTER", help="Where they go.")
@click.option("--new", metavar="NAME", help="Make a new cluster of them, with this name.")
@_edit_options
@click.pass_obj
def move(
    project: Path, /, *, to: str | None, new: str | None, images: list[str], uuid: str | None, as_json: bool
) -> None:
    """Move images into a cluster; they stay there whatever a later run says."""
    _check_some(images)
    _run(project, as_json, lambda curation: curation.move(images, to, new=new, uuid=uuid))


@edit.command()
@click.argument("cluster")
@_images
@click.option("-n", "--parts", "n_parts", type=click.IntRange(2, 8), help="Number of parts, by features.  [default: 2]")
@click.option("--name", "names", multiple=True, help="Name of a new part; may be given again.")
@_edit_options
@click.pass_obj
def split(
    project: Path,
    /,
    *,
    cluster: str,
    n_parts: int | None,
    names: tuple[str, ...],
    images: list[str],
    uuid: str | None,
    as_json: bool,
) -> None:
    """Split a cluster by features, or by taking the named images out of it.

    The largest part, or what was not named, keeps the number and the name.
    """
    if images and n_parts is not None:
        raise click.UsageError("Give a number of parts or the images of one part, not both.")
    parts = [images] if images else None
    _run(
        project,
        as_json,
        lambda curation: curation.split(cluster, n_parts=n_parts or 2, parts=parts, names=names, uuid=uuid),
    )


@edit.command()
@_images
@_edit_options
@click.pass_obj
def confirm(project: Path, /, *, images: list[str], uuid: str | None, as_json: bool) -> None:
    """Say that images are right where they are."""
    _check_some(images)
    _run(project, as_json, lambda curation: curation.confirm(images, uuid=uuid))


@edit.command()
@_images
@click.option("--from", "cluster", metavar="CLUSTER", help="The cluster that they do not belong to.  [default: theirs]")
@_edit_options
@click.pass_obj
def reject(project: Path, /, *, cluster: str | None, images: list[str], uuid: str | None, as_json: bool) -> None:
    """Say that images do not belong to their cluster; each goes to the nearest other one, never back."""
    _check_some(images)
    _run(project, as_json, lambda curation: curation.reject(images, cluster, uuid=uuid))


@edit.command("set-aside")
@_images
@click.option("--reason", default="", help="Why, for the history.")
@_edit_options
@click.pass_obj
def set_aside(project: Path, /, *, reason: str, images: list[str], uuid: str | None, as_json: bool) -> None:
    """Take images out of their clusters, since you are not sure."""
    _check_some(images)
    _run(project, as_json, lambda curation: curation.set_aside(images, reason=reason, uuid=uuid))


@edit.command()
@click.argument("cluster")
@click.option("--off", is_flag=True, help="Take the mark back.")
@_edit_options
@click.pass_obj
def review(project: Path, /, *, cluster: str, off: bool, uuid: str | None, as_json: bool) -> None:
    """Say that you have looked through a cluster: all its images are right."""
    _run(project, as_json, lambda curation: curation.review(cluster, value=not off, uuid=uuid))


@edit.command()
@click.argument("cluster")
@click.option("--off", is_flag=True, help="Show it again.")
@_edit_options
@click.pass_obj
def hide(project: Path, /, *, cluster: str, off: bool, uuid: str | None, as_json: bool) -> None:
    """Leave a cluster out of pages and exports."""
    _run(project, as_json, lambda curation: curation.hide(cluster, value=not off, uuid=uuid))


@edit.command()
@click.argument("clusters", metavar="CLUSTER...", nargs=-1, required=True)
@click.option("--to", metavar="GROUP", help="A group's number or name; a name that is not there makes a group.")
@click.option("--off", is_flag=True, help="Take them out of their group.")
@_edit_options
@click.pass_obj
def group(
    project: Path, /, *, clusters: tuple[str, ...], to: str | None, off: bool, uuid: str | None, as_json: bool
) -> None:
    """Put clusters into a group, such as Animals."""
    if (to is None) != off:
        raise click.UsageError("Give the group with --to, or --off to take the clusters out of theirs.")
    _run(project, as_json, lambda curation: curation.group(clusters, to, uuid=uuid))


@edit.command("rename-group")
@click.argument("group")
@click.argument("name")
@_edit_options
@click.pass_obj
def rename_group(project: Path, /, *, group: str, name: str, uuid: str | None, as_json: bool) -> None:
    """Name a group."""
    _run(project, as_json, lambda curation: curation.rename_group(group, name, uuid=uuid))


@edit.command()
@click.argument("number", metavar="[EDIT]", type=int, required=False)
@_later
@_edit_options
@click.pass_obj
def undo(project: Path, /, *, number: int | None, with_later: bool, uuid: str | None, as_json: bool) -> None:
    """Undo an edit, the newest one that is in effect if none is named."""
    also = None if with_later else ()
    _run(project, as_json, lambda curation: curation.undo(number, also=also, uuid=uuid))


@edit.command()
@click.argument("number", metavar="[EDIT]", type=int, required=False)
@_later
@_edit_options
@click.pass_obj
def redo(project: Path, /, *, number: int | None, with_later: bool, uuid: str | None, as_json: bool) -> None:
    """Redo what the newest undo, or that of EDIT, took back."""
    also = None if with_later else ()
    _run(project, as_json, lambda curation: curation.redo(number, also=also, uuid=uuid))
