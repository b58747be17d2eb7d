"""Running experiments: a process for each seed, its time and memory its own, its failure a line and not the end."""

import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from covey._files import exclusive_lock
from covey.bench._check import is_seeded
from covey.bench._experiment import Experiment, ExperimentFile, RowsSpec, digest_of, settings_of
from covey.bench._ledger import FAILED, OK, TIMEOUT, Ledger, finished_keys
from covey.bench._references import PROBES
from covey.bench.runner._processes import Worker, WorkerResult, n_threads_each

EXPERIMENTS: Final = "experiments"
_PATIENCE_S: Final = 0.05

Told = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Job:
    """One seed of an experiment on rows that are ready.

    Attributes
    ----------
    key : str
        The same for the same settings, fit, seed and data.
    experiment : Experiment
        What it belongs to.
    fit : {"train", "all"}
        Rows that are fitted.
    seed : int
        Of the method.
    facts : mapping
        Of `prepare_rows`.
    """

    key: str
    experiment: Experiment
    fit: str
    seed: int
    facts: Mapping[str, Any]

    @property
    def kind(self) -> tuple[str, str]:
        """Return what it shares with its other seeds: a hash of the settings, and the rows that are fitted."""
        return digest_of(settings_of(self.experiment.rows, self.experiment.method)), self.fit


@dataclass(slots=True)
class RunReport:
    """What one call of `run_experiments` did.

    Attributes
    ----------
    n_done, n_reused : int
        Seeds that ran now, and that were there before.
    n_skipped : int
        Seeds that were not tried, because another seed of the same ran out of time.
    failures : list of str
        One line for each seed that failed now.
    missing : dict of str to str
        Data sets that are not here, and why.
    wall_s : float
        Of the whole call.
    """

    n_done: int = 0
    n_reused: int = 0
    n_skipped: int = 0
    failures: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    wall_s: float = 0.0


def run_experiments(
    files: Sequence[ExperimentFile],
    output: Path,
    *,
    data: Path,
    include: Sequence[Path] = (),
    n_jobs: int = 1,
    retry_failed: bool = False,
    announce: Callable[[str], None] | None = None,
    told: Told | None = None,
) -> RunReport:
    """Run what experiment files ask for and is not finished yet.

    Parameters
    ----------
    files : sequence of ExperimentFile
        From `read_experiments`.
    output : Path
        Folder of the results; made if missing. The files are copied into it for the report.
    data : Path
        Folder in which data sets have their usual places.
    include : sequence of Path, default=()
        Python files with further data sets, as in `covey.bench.datasets.include_files`; this process must have included
        them too.
    n_jobs : int, default=1
        Seeds at once; each gets its share of the processors. Times of seeds that run side by side are worth less.
    retry_failed : bool, default=False
        Whether seeds that failed or ran out of time are run again.
    announce : callable, optional
        Gets a sentence before something that may take long.
    told : callable, optional
        Gets each line as soon as it is written.

    Returns
    -------
    report : RunReport
        What ran, what was there, what failed, and the sets that are not on this machine.

    Raises
    ------
    ProjectError
        If another run writes to the folder.
    """
    start = time.perf_counter()
    output.mkdir(parents=True, exist_ok=True)
    report = RunReport()
    with exclusive_lock(output / "run.lock", f"The folder {output}"):
        ledger = Ledger(output)
        ledger.repair()
        _keep_files(files, output / EXPERIMENTS)
        experiments = [experiment for file in files for experiment in file.experiments]
        places = {"data": str(data.resolve()), "include": [str(path.resolve()) for path in include]}
        ready = _prepare_all(experiments, output, places, report, announce)
        jobs = list(_jobs(experiments, ready))
        lines = ledger.read()
        finished = finished_keys(lines, retry_failed=retry_failed)
        too_slow = set() if retry_failed else {(ln["settings"], ln["fit"]) for ln in lines if ln["status"] == TIMEOUT}
        waiting = [job for job in jobs if job.key not in finished]
        report.n_reused = len(jobs) - len(waiting)
        run_id = uuid.uuid4().hex[:12]
        for job, result in _run_all(waiting, output, n_jobs, too_slow):
            line = _line(job, result, run_id, n_jobs)
            ledger.append(line)
            report.n_done += 1
            if line["status"] != OK:
                report.failures.append(f"{job.experiment.title}, seed {job.seed}: {line['error']}")
            if told is not None:
                told(line)
        report.n_skipped = len(waiting) - report.n_done
    report.wall_s = time.perf_counter() - start
    return report


def _keep_files(files: Sequence[ExperimentFile], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for file in files:
        target = folder / file.path.name
        if target.resolve() != file.path.resolve():
            shutil.copyfile(file.path, target)


def _prepare_all(
    experiments: Sequence[Experiment],
    output: Path,
    places: Mapping[str, Any],
    report: RunReport,
    announce: Callable[[str], None] | None,
) -> dict[RowsSpec, dict[str, Any]]:
    """Make the rows of all experiments ready, one set after another; a set that is not here is left out."""
    ready = {}
    for rows in dict.fromkeys(experiment.rows for experiment in experiments):
        if announce is not None:
            announce(f"Making ready: {rows.title}, {rows.features_title}")
        task = {"kind": "prepare", "rows": asdict(rows), **places}
        with Worker.start(f"prepare-{digest_of(task)}", task, output, timeout_s=None) as worker:
            result = worker.wait()
        if result.facts is None:
            report.missing[rows.title] = result.error
        else:
            ready[rows] = result.facts
    return ready


def _jobs(experiments: Sequence[Experiment], ready: Mapping[RowsSpec, dict[str, Any]]) -> Iterator[Job]:
    """Yield the jobs of all experiments, each once: the first seed of everything first."""
    seen: set[str] = set()
    seeds = sorted({seed for experiment in experiments for seed in experiment.seeds})
    for seed in seeds:
        for experiment in experiments:
            if experiment.rows not in ready or seed not in _seeds(experiment):
                continue
            facts = ready[experiment.rows]
            for fit in ("train",) if experiment.method.name in PROBES else experiment.fits:
                settings = settings_of(experiment.rows, experiment.method)
                key = digest_of([settings, fit, seed, facts["sha256"]])
                if key not in seen:
                    seen.add(key)
                    yield Job(key, experiment, fit, seed, facts)


def _seeds(experiment: Experiment) -> tuple[int, ...]:
    """Return the seeds; one is enough for a method that draws nothing."""
    return experiment.seeds if is_seeded(experiment.method) else experiment.seeds[:1]


def _run_all(
    jobs: Sequence[Job], output: Path, n_jobs: int, too_slow: set[tuple[str, str]]
) -> Iterator[tuple[Job, WorkerResult]]:
    """Run jobs, `n_jobs` at once, and yield each with its result as it ends; whatever happens, none is left running.

    Of what is `too_slow`, or proves to be by running out of time, no other seed is begun.
    """
    waiting, running = list(reversed(jobs)), dict[str, tuple[Job, Worker]]()
    try:
        while waiting or running:
            while waiting and len(running) < n_jobs:
                job = waiting.pop()
                if job.kind in too_slow:
                    continue
                worker = Worker.start(
                    job.key, _task(job), output, timeout_s=job.experiment.timeout_s, n_threads=n_threads_each(n_jobs)
                )
                running[job.key] = (job, worker)
            for key, (job, worker) in list(running.items()):
                if worker.is_done():
                    del running[key]
                    with worker:
                        result = worker.wait()
                    if result.is_timeout:
                        too_slow.add(job.kind)
                    yield job, result
            time.sleep(_PATIENCE_S)
    finally:
        for _, worker in running.values():
            worker.close()


def _task(job: Job) -> dict[str, Any]:
    return {
        "kind": "fit",
        "method": asdict(job.experiment.method),
        "fit": job.fit,
        "seed": job.seed,
        "folder": job.facts["folder"],
        "n_classes": job.facts["n_classes"],
    }


def _line(job: Job, result: WorkerResult, run_id: str, n_jobs: int) -> dict[str, Any]:
    """Return what is written of one seed."""
    settings = settings_of(job.experiment.rows, job.experiment.method)
    facts = {name: value for name, value in job.facts.items() if name not in ("folder", "hardware", "versions")}
    line: dict[str, Any] = {
        "key": job.key,
        "settings": digest_of(settings),
        **settings,
        "fit": job.fit,
        "seed": job.seed,
        "data": facts,
        "versions": job.facts["versions"],
        "hardware": {**job.facts["hardware"], "n_threads": n_threads_each(n_jobs), "n_jobs": n_jobs},
        "run": run_id,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "process_wall_s": round(result.wall_s, 3),
    }
    if result.facts is not None:
        return {**line, "status": OK, **result.facts}
    return {**line, "status": TIMEOUT if result.is_timeout else FAILED, "error": result.error}
