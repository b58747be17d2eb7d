"""``folders``: the images of each cluster in a folder of its name, linked, copied or moved."""

from collections.abc import Iterable
from pathlib import PurePath

from covey.exports._folder_names import (
    NOT_SURE,
    UNLABELED,
    UNPLACED,
    free_file,
    safe_file_name,
    safe_name,
    unique_folders,
)
from covey.exports._operations import Operation
from covey.exports._source import ExportedImage, ExportOptions, ExportPlan, ExportSource, select
from covey.types import NOISE


def plan_folders(source: ExportSource, options: ExportOptions) -> ExportPlan:
    """Plan ``OUT/<group>/<cluster>/<file>``.

    Parameters
    ----------
    source : ExportSource
        What is exported.
    options : ExportOptions
        What of it, and how.

    Returns
    -------
    plan : ExportPlan
        A folder for each cluster that has an image; images in no cluster go to ``_not sure`` and ``_new``, or to
        ``_unlabeled``.
    """
    folder_of = _folders(source, options)
    made: dict[str, None] = {}
    taken: dict[str, set[str]] = {}
    operations: list[Operation] = []
    n_missing = n_renamed = n_wanted = 0
    for image in select(source, options):
        n_wanted += 1
        if not image.files:
            n_missing += 1
            continue
        folder = folder_of[image.cluster] if image.cluster != NOISE else _outside(image, options)
        made |= dict.fromkeys(_with_parents(folder))
        for file, digest in image.files if options.all_copies else image.files[:1]:
            name = PurePath(file).name
            free = free_file(safe_file_name(name), taken.setdefault(folder, set()))
            n_renamed += free != name
            operations.append(Operation(options.mode, f"{folder}/{free}", file, digest))
    return ExportPlan(
        [*(Operation("mkdir", folder) for folder in made), *operations],
        n_missing=n_missing,
        n_skipped=len(source.images) - n_wanted,
        n_renamed=n_renamed,
    )


def _folders(source: ExportSource, options: ExportOptions) -> dict[int, str]:
    """Return the folder of each cluster below OUT."""
    clusters = source.clusters.values()
    names = unique_folders({cluster.id: cluster.name for cluster in clusters})
    groups = sorted({cluster.group for cluster in clusters if cluster.group})
    group_names = dict(zip(groups, unique_folders(dict(enumerate(groups))).values(), strict=True))
    if options.level == "clusters":
        return names
    folders = {}
    for cluster in clusters:
        own = names[cluster.id]
        if not cluster.group:
            folders[cluster.id] = _beside(own, group_names.values())
        elif options.level == "coarse":
            folders[cluster.id] = group_names[cluster.group]
        else:
            folders[cluster.id] = f"{group_names[cluster.group]}/{own}"
    return folders


def _beside(name: str, groups: Iterable[str]) -> str:
    """Return a folder for a cluster without a group that is not the folder of a group."""
    taken = {group.casefold() for group in groups}
    return name if name.casefold() not in taken else safe_name(f"{name} (cluster)", name)


def _outside(image: ExportedImage, options: ExportOptions) -> str:
    if options.has_class_layout:
        return UNLABELED
    return UNPLACED if image.status == "new" else NOT_SURE


def _with_parents(folder: str) -> list[str]:
    parts = folder.split("/")
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]
