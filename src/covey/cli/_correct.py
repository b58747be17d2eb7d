"""`covey edit`: correct the result of a project, one edit a call."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covey.cli._console import apply_options, echo_json
from covey.cli._options import project_argument

if TYPE_CHECKING:
    from covey.corrections import EditReport, ProjectCuration

_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_uuid = click.option("--uuid", metavar="TEXT", help="Name of the edit; sent twice, it is stored once.")
_later = click.option("--with-later", is_flag=True, help="Take along the edits that depend on it.")


def _images(function: Callable[..., Any]) -> Callable[..., Any]:
    return apply_options(
        function,
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


def _run(project: Path, options: dict[str, Any], act: "Callable[[ProjectCuration], EditReport]") -> None:
    """Open the corrected result, edit it, and say what was done."""
    from covey.corrections import open_curation
    from covey.store import Project

    with Project.open(project) as opened:
        report = act(open_curation(opened, author="cli"))
    if options["as_json"]:
        echo_json(dataclasses.asdict(report))
        return
    unchanged = f" ({report.n_unchanged} unchanged)" if report.n_unchanged else ""
    known = "" if report.is_new else " (was stored before)"
    click.echo(f"{report.seq}  {report.summary}{unchanged}{known}")


def _read_images(options: dict[str, Any]) -> list[str]:
    """Return the images that were named, on the command line or in a file."""
    images, source = list(options["images"]), options["images_from"]
    if source is not None:
        with click.open_file(source, encoding="utf-8", errors="surrogateescape") as file:
            images += [line.rstrip("\n") for line in file if line.strip()]
    if not images:
        raise click.UsageError("Name one or more images, or a file of them with --images-from.")
    return images


@edit.command()
@click.argument("cluster")
@click.argument("name")
@_uuid
@_json
@click.pass_obj
def rename(project: Path, /, cluster: str, name: str, **options: Any) -> None:
    """Name a cluster; an empty NAME brings the run's back."""
    _run(project, options, lambda curation: curation.rename(cluster, name, uuid=options["uuid"]))


@edit.command()
@click.argument("into", metavar="CLUSTER")
@click.argument("sources", metavar="OTHER...", nargs=-1, required=True)
@click.option("--name", help="Name of the union.  [default: one given by hand, else that of the largest]")
@_uuid
@_json
@click.pass_obj
def merge(project: Path, /, into: str, sources: tuple[str, ...], name: str | None, **options: Any) -> None:
    """Merge other clusters into CLUSTER, which keeps its number."""
    _run(project, options, lambda curation: curation.merge(into, *sources, name=name, uuid=options["uuid"]))


@edit.command()
@_images
@click.option("--to", metavar="CLUSTER", help="Where they go.")
@click.option("--new", metavar="NAME", help="Make a new cluster of them, with this name.")
@_uuid
@_json
@click.pass_obj
def move(project: Path, /, to: str | None, new: str | None, **options: Any) -> None:
    """Move images into a cluster; they stay there whatever a later run says."""
    images = _read_images(options)
    _run(project, options, lambda curation: curation.move(images, to, new=new, uuid=options["uuid"]))


@edit.command()
@click.argument("cluster")
@_images
@click.option("-n", "--parts", "n_parts", type=click.IntRange(2, 8), help="Number of parts, by features.  [default: 2]")
@click.option("--name", "names", multiple=True, help="Name of a new part; may be given again.")
@_uuid
@_json
@click.pass_obj
def split(project: Path, /, cluster: str, n_parts: int | None, names: tuple[str, ...], **options: Any) -> None:
    """Split a cluster by features, or by taking the named images out of it.

    The largest part, or what was not named, keeps the number and the name.
    """
    is_by_hand = bool(options["images"]) or options["images_from"] is not None
    if is_by_hand and n_parts is not None:
        raise click.UsageError("Give a number of parts or the images of one part, not both.")
    parts = [_read_images(options)] if is_by_hand else None
    keywords = {"n_parts": n_parts or 2, "parts": parts, "names": names, "uuid": options["uuid"]}
    _run(project, options, lambda curation: curation.split(cluster, **keywords))


@edit.command()
@_images
@_uuid
@_json
@click.pass_obj
def confirm(project: Path, /, **options: Any) -> None:
    """Say that images are right where they are."""
    images = _read_images(options)
    _run(project, options, lambda curation: curation.confirm(images, uuid=options["uuid"]))


@edit.command()
@_images
@click.option("--from", "cluster", metavar="CLUSTER", help="The cluster that they do not belong to.  [default: theirs]")
@_uuid
@_json
@click.pass_obj
def reject(project: Path, /, cluster: str | None, **options: Any) -> None:
    """Say that images do not belong to their cluster; each goes to the nearest other one, never back."""
    images = _read_images(options)
    _run(project, options, lambda curation: curation.reject(images, cluster, uuid=options["uuid"]))


@edit.command("set-aside")
@_images
@click.option("--reason", default="", help="Why, for the history.")
@_uuid
@_json
@click.pass_obj
def set_aside(project: Path, /, reason: str, **options: Any) -> None:
    """Take images out of their clusters, since you are not sure."""
    images = _read_images(options)
    _run(project, options, lambda curation: curation.set_aside(images, reason=reason, uuid=options["uuid"]))


@edit.command()
@click.argument("cluster")
@click.option("--off", is_flag=True, help="Take the mark back.")
@_uuid
@_json
@click.pass_obj
def review(project: Path, /, cluster: str, off: bool, **options: Any) -> None:
    """Say that you have looked through a cluster: all its images are right."""
    _run(project, options, lambda curation: curation.review(cluster, value=not off, uuid=options["uuid"]))


@edit.command()
@click.argument("cluster")
@click.option("--off", is_flag=True, help="Show it again.")
@_uuid
@_json
@click.pass_obj
def hide(project: Path, /, cluster: str, off: bool, **options: Any) -> None:
    """Leave a cluster out of pages and exports."""
    _run(project, options, lambda curation: curation.hide(cluster, value=not off, uuid=options["uuid"]))


@edit.command()
@click.argument("clusters", metavar="CLUSTER...", nargs=-1, required=True)
@click.option("--to", metavar="GROUP", help="A group's number or name; a name that is not there makes a group.")
@click.option("--off", is_flag=True, help="Take them out of their group.")
@_uuid
@_json
@click.pass_obj
def group(project: Path, /, clusters: tuple[str, ...], to: str | None, off: bool, **options: Any) -> None:
    """Put clusters into a group, such as Animals."""
    if (to is None) != off:
        raise click.UsageError("Give the group with --to, or --off to take the clusters out of theirs.")
    _run(project, options, lambda curation: curation.group(clusters, to, uuid=options["uuid"]))


@edit.command("rename-group")
@click.argument("group")
@click.argument("name")
@_uuid
@_json
@click.pass_obj
def rename_group(project: Path, /, group: str, name: str, **options: Any) -> None:
    """Name a group."""
    _run(project, options, lambda curation: curation.rename_group(group, name, uuid=options["uuid"]))


@edit.command()
@click.argument("number", metavar="[EDIT]", type=int, required=False)
@_later
@_uuid
@_json
@click.pass_obj
def undo(project: Path, /, number: int | None, with_later: bool, **options: Any) -> None:
    """Undo an edit, the newest one that is in effect if none is named."""
    also = None if with_later else ()
    _run(project, options, lambda curation: curation.undo(number, also=also, uuid=options["uuid"]))


@edit.command()
@click.argument("number", metavar="[EDIT]", type=int, required=False)
@_later
@_uuid
@_json
@click.pass_obj
def redo(project: Path, /, number: int | None, with_later: bool, **options: Any) -> None:
    """Redo what the newest undo, or that of EDIT, took back."""
    also = None if with_later else ()
    _run(project, options, lambda curation: curation.redo(number, also=also, uuid=options["uuid"]))
