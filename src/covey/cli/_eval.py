"""`covey eval`: a partition beside labels that are known."""

import dataclasses
from pathlib import Path

import click

from covey.cli._console import echo_json, echo_table
from covey.cli._options import Output, project_argument, result_options, run_option
from covey.cli._output import echo


@click.command("eval")
@project_argument
@click.option(
    "--labels",
    required=True,
    metavar="FILE.csv|folders",
    help="A table with the columns filename and class, or the word folders: the folder's name is the class.",
)
@run_option
@click.option("--per-class", is_flag=True, help="Show the accuracy of each class too.")
@result_options
def evaluate(project: Path, labels: str, partition_id: int | None, per_class: bool, speech: Output) -> None:
    """Score a partition against known labels.

    The labels are used for this and nothing else: no choice in covey ever looks at them.
    """
    from covey.pipeline import evaluate_partition, read_label_table
    from covey.store import Project

    path = Path(labels)
    if labels != "folders" and not path.is_file():
        raise click.BadParameter(f"{labels!r} is neither a file nor the word 'folders'.", param_hint="--labels")
    with Project.open(project) as opened:
        chosen = opened.partition_info(partition_id)
        known = None if labels == "folders" else read_label_table(path)
        result = evaluate_partition(opened, chosen.id, None if known is None else known.classes)
    if speech.as_json:
        echo_json({"partition": chosen.id, "method": chosen.method, **dataclasses.asdict(result)})
        return
    if speech.quiet:
        return
    echo(
        f"{chosen.name}: {result.n_images} images, {result.n_clusters} clusters, {result.n_classes} classes "
        f"({result.n_unlabelled} without a label and {result.n_ambiguous} with several are left out)"
    )
    if known is not None:
        echo(f"labels read as {known.form}: {len(known.classes)} files, {known.n_empty} rows without a class")
    echo_table(result.scores.items(), ("metric", "value"))
    if per_class:
        echo()
        echo_table(result.per_class_accuracy.items(), ("class", "accuracy"))
