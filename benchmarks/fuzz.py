"""Fuzz every door of covey with damaged input, and count what comes of it.

    python benchmarks/fuzz.py --minutes 60 --seed 0 --output benchmarks/fuzz.csv

Each trial takes a good input of one kind, damages it, and hands it to the door that reads it. An error of covey's own
(`CoveyError`, one line) is how it must end, if it does not succeed; anything else is a fault: its traceback is printed
with the seed that makes it again (``--kind images --trial SEED``). `tests/fuzz` runs the same for a minute.
"""

import argparse
import csv
import io
import json
import logging
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from click.testing import CliRunner
from PIL import Image

from covey.bench import read_experiments
from covey.cli import cli
from covey.errors import CoveyError
from covey.images import read_image, scan_images
from covey.pipeline import read_label_table
from covey.text import read_vocabulary

Edit = tuple[int, float, bytes]
"""A change of bytes: its kind, its place in [0, 1), and bytes for it."""

N_KINDS_OF_EDITS = 8
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL"
_PAGES = (".webp", ".css", ".js", ".html")  # which no command reads
_CUTS = 6  # the kind of edit that cuts the end off
_WORDS = (
    b"\x00",
    b"\xff\xfe",
    b"[" * 3000,
    b"{" * 500,
    b'"',
    b"\r",
    b"=1+1",
    b"../../evil",
    b"9" * 5000,
    b"NaN",
    b"1e999",
    b"-1",
    b"\x1b[31m",
    b"\xef\xbb\xbf",
    b"null",
    b"e\xcc\x81",
    b"\xb2",
    b"\xed\xa0\x80",
)
_COMMANDS = (
    ("info",),
    ("info", "--json"),
    ("gallery", "--no-progress"),
    ("search", "--cluster", "0"),
    ("search", "--cluster", "0", "--engine", "usearch"),
    ("search", "--cluster", "0", "--space", "representation"),
    ("eval", "--labels", "folders"),
    ("name", "--no-gallery"),
    ("prune", "--dry-run"),
)
_VALUES = (
    "²",
    "9" * 5000,
    "-1",
    "0",
    "1",
    "",
    "nan",
    "inf",
    "auto",
    "x" * 300,
    "'",
    '"',
    "\x1b[31m",
    "é",
    "=",
    "a=",
    "=b",
    "-",
    "n_init=abc",
    "n_init=²",
    "spherical=maybe",
    "[z-a]*",
    "/",
    "..",
    "1e400",
    "true",
    "cpu",
    "kmeans",
    "\udcff",
    "*",
)
_OPTIONS = (
    "-k",
    "--k-min",
    "--k-max",
    "--method",
    "--preset",
    "-p",
    "--seed",
    "-m",
    "--views",
    "--device",
    "-b",
    "--workers",
    "--engine",
    "--size",
    "--include",
    "--exclude",
    "-o",
    "--no-names",
    "--json",
    "-q",
)


def mutate(data: bytes, edits: Sequence[Edit]) -> bytes:
    """Return damaged bytes: bits flipped, pieces replaced, put in, cut out, doubled, zeroed, or the end cut off."""
    for kind, place, piece in edits:
        start = int(place * len(data))
        end = min(start + len(piece), len(data))
        head, middle, tail = data[:start], data[start:end], data[end:]
        flipped = bytes([middle[0] ^ 1 << start % 8]) + middle[1:] if middle else b""
        word = _WORDS[sum(piece) % len(_WORDS)]
        middles = (flipped, piece, piece + middle, b"", middle + middle, bytes(len(middle)), b"", word + middle)
        chosen = kind % N_KINDS_OF_EDITS
        data = head + middles[chosen] + (b"" if chosen == _CUTS else tail)
    return data


def random_edits(rng: random.Random) -> list[Edit]:
    """Draw one to four edits."""
    return [
        (rng.randrange(N_KINDS_OF_EDITS), rng.random(), rng.randbytes(rng.choice((1, 2, 4, 16, 64))))
        for _ in range(rng.randint(1, 4))
    ]


@cache
def image_files() -> list[tuple[str, bytes]]:
    """Return small images in each format that Pillow writes, by suffix."""
    image = Image.effect_noise((40, 30), 60).convert("RGB")
    found = []
    for suffix, form, mode in (
        ("png", "PNG", "RGBA"),
        ("jpg", "JPEG", "RGB"),
        ("jpg", "JPEG", "CMYK"),
        ("gif", "GIF", "P"),
        ("tif", "TIFF", "I;16"),
        ("tif", "TIFF", "RGB"),
        ("webp", "WEBP", "RGB"),
        ("bmp", "BMP", "RGB"),
        ("png", "PNG", "I;16"),
        ("jp2", "JPEG2000", "RGB"),
        ("ppm", "PPM", "L"),
    ):
        buffer = io.BytesIO()
        (image.convert("I").convert(mode) if mode == "I;16" else image.convert(mode)).save(buffer, form)
        found.append((suffix, buffer.getvalue()))
    return found


def fuzz_images(edits: Sequence[Edit], choice: int, folder: Path) -> None:
    """Scan and read a damaged image."""
    suffix, data = image_files()[choice % len(image_files())]
    path = folder / f"a.{suffix}"
    path.write_bytes(mutate(data, edits))
    scan_images([folder])
    read_image(path)


def fuzz_labels(edits: Sequence[Edit], choice: int, folder: Path) -> None:
    """Read a damaged table of labels."""
    codec = ("utf-8", "utf-16", "cp1252", "utf-8-sig")[choice % 4]
    mark = ",;\t|"[choice // 4 % 4]
    text = f"filename{mark}class{mark}note\n" + "".join(f'a{i}.png{mark}"é{i % 3}"{mark}\n' for i in range(20))
    path = folder / "labels.csv"
    path.write_bytes(mutate(text.encode(codec), edits))
    read_label_table(path)


def fuzz_manifests(edits: Sequence[Edit], choice: int, folder: Path) -> None:
    """Scan a damaged list of images."""
    (folder / "a.png").write_bytes(image_files()[0][1])
    codec = ("utf-8", "utf-16", "cp1252", "utf-8-sig")[choice % 4]
    data = "# list\na.png\nb/é.png\r\n../c.jpg\n".encode(codec)
    (folder / "list.txt").write_bytes(mutate(data, edits))
    scan_images([folder / "list.txt"])


def fuzz_vocabularies(edits: Sequence[Edit], choice: int, folder: Path) -> None:
    """Read a damaged vocabulary."""
    path = folder / "words.txt"
    path.write_bytes(
        mutate("# words\ncat\nhöhle\n日本\na phrase\n".encode(("utf-8", "utf-16", "utf-8-sig")[choice % 3]), edits)
    )
    read_vocabulary(path)


def fuzz_experiments(edits: Sequence[Edit], choice: int, folder: Path) -> None:
    """Read a damaged file of experiments, or one in which a value is of another type."""
    from covey.bench._experiment_files import packaged_experiments

    files = sorted(packaged_experiments().values())
    data = files[choice % len(files)].read_bytes()
    if choice % 2:  # a value of another type, in valid TOML
        lines = data.split(b"\n")
        places = [i for i, line in enumerate(lines) if b" = " in line and not line.startswith(b"#")]
        place = places[int(edits[0][1] * len(places))]
        value = (b"7", b'"x"', b"true", b"[]", b"[1]", b"{a = 1}", b"-1.5", b"nan", b"[[1]]", b"[true]")[
            choice // 2 % 10
        ]
        lines[place] = lines[place].partition(b" = ")[0] + b" = " + value
        data = b"\n".join(lines)
    else:
        data = mutate(data, edits)
    path = folder / "a.toml"
    path.write_bytes(data)
    read_experiments(path)


@cache
def good_project() -> Path:
    """Make a small project with a run, tables, a gallery and an index."""
    folder = Path(tempfile.mkdtemp(prefix="covey-fuzz-"))
    for i in range(12):
        (folder / "pics" / f"c{i % 3}").mkdir(parents=True, exist_ok=True)
        Image.effect_noise((24, 24), 30 + 60 * (i % 3)).convert("RGB").save(folder / "pics" / f"c{i % 3}" / f"{i}.png")
    root = str(folder / "p.covey")
    words = ["cluster", str(folder / "pics"), "-o", root, "-m", "color_histogram", "--method", "gaussian-mixture", "-q"]
    for command in (
        [*words, "-k", "3"],
        [*words, "-k", "auto"],
        ["search", root, "--cluster", "0", "--engine", "usearch"],
    ):
        done = CliRunner().invoke(cli, command)
        if done.exit_code:
            raise RuntimeError(done.output)
    return folder


def fuzz_projects(edits: Sequence[Edit], choice: int, folder: Path) -> None:
    """Run a command on a project one of whose files is damaged."""
    root = folder / "p.covey"
    shutil.copytree(good_project() / "p.covey", root, symlinks=True)
    kinds = [path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix not in _PAGES]
    path = root / "project.sqlite" if choice % 2 else kinds[choice // 2 % len(kinds)]
    path.write_bytes(mutate(path.read_bytes(), edits))
    name, *rest = _COMMANDS[choice % len(_COMMANDS)]
    _run(name, str(root), *rest)


def fuzz_columns(edits: Sequence[Edit], choice: int, folder: Path) -> None:
    """Run a command on a project in whose database one value is another one."""
    import sqlite3

    root = folder / "p.covey"
    shutil.copytree(good_project() / "p.covey", root, symlinks=True)
    connection = sqlite3.connect(root / "project.sqlite")
    tables = [row[0] for row in connection.execute(_TABLES)]
    table = tables[choice % len(tables)]
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    column = columns[int(edits[0][1] * len(columns))]
    old = connection.execute(f"SELECT {column} FROM {table} LIMIT 1").fetchone()
    data = old[0].encode() if old and isinstance(old[0], str) else old[0] if old and isinstance(old[0], bytes) else b"7"
    wrong = mutate(data, edits).decode("utf-8", "replace")
    values = (wrong, wrong.encode("utf-8", "replace"), -1, 2**62, float("inf"), 0, "", "[]", "{}", "../../evil", None)
    try:
        with connection:
            connection.execute(f"UPDATE {table} SET {column} = ?", (values[choice // 7 % len(values)],))
    except sqlite3.Error:
        return  # the schema refuses it
    finally:
        connection.close()
    name, *rest = _COMMANDS[choice % len(_COMMANDS)]
    _run(name, str(root), *rest)


def fuzz_options(edits: Sequence[Edit], choice: int, folder: Path) -> None:
    """Run commands with options of any value."""
    rng = random.Random(choice)
    words = [word for _ in edits for word in (rng.choice(_OPTIONS), rng.choice(_VALUES))]
    pics = str(good_project() / "pics")
    if choice % 3:
        _run("cluster", pics, "--dry-run", "-o", str(folder / "new.covey"), *words)
    else:
        option = rng.choice(
            ("--cluster", "--within", "--top", "--min-score", "--space", "--engine", "--run", "--text", "--device")
        )
        _run("search", str(good_project() / "p.covey"), "--cluster", "0", option, rng.choice(_VALUES))


def fuzz_models(edits: Sequence[Edit], choice: int, folder: Path) -> None:
    """Describe a model whose files are damaged."""
    from covey.backbones._transformers._folder import read_spec

    config = json.dumps({"model_type": "dinov2", "hidden_size": 32, "num_hidden_layers": 1, "image_size": 28}).encode()
    sides = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    pixels = json.dumps({**sides, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3}).encode()
    (folder / "config.json").write_bytes(config if choice % 2 else mutate(config, edits))
    (folder / "preprocessor_config.json").write_bytes(mutate(pixels, edits) if choice % 2 else pixels)
    (folder / "model.safetensors").write_bytes(mutate(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", edits))
    read_spec(folder)


def _run(*words: str) -> None:
    """Run a command as a person would; raise what is not one clear line."""
    done = CliRunner().invoke(cli, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    if done.exit_code:
        raise CoveyError(done.output)


KINDS: dict[str, Callable[[Sequence[Edit], int, Path], None]] = {
    "images": fuzz_images,
    "labels": fuzz_labels,
    "manifests": fuzz_manifests,
    "vocabularies": fuzz_vocabularies,
    "experiments": fuzz_experiments,
    "projects": fuzz_projects,
    "columns": fuzz_columns,
    "options": fuzz_options,
    "models": fuzz_models,
}


def run_trial(kind: str, edits: Sequence[Edit], choice: int) -> bool:
    """Run one trial in a folder of its own; return whether it was accepted, and raise what is a fault."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            KINDS[kind](edits, choice, Path(folder))
        except CoveyError:
            return False
        return True


def main() -> int:
    """Run trials of all kinds in turn until the time is over, and write the counts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--trial", type=int, help="only this one")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in given.kind or KINDS}
    faults: set[str] = set()
    started = time.monotonic()
    trial = given.seed * 10**9 if given.trial is None else given.trial
    while time.monotonic() - started < 60 * given.minutes:
        for kind, count in counts.items():
            rng = random.Random(f"{kind} {trial}")
            edits, choice = random_edits(rng), rng.randrange(2**32)
            begun = time.monotonic()
            try:
                count["accepted" if run_trial(kind, edits, choice) else "refused"] += 1
            except Exception as error:  # noqa: BLE001 - to find these is what it is for
                count["faults"] += 1
                place = traceback.extract_tb(error.__traceback__)[-1]
                key = f"{kind} {type(error).__name__} {place.filename}:{place.lineno}"
                if key not in faults:
                    faults.add(key)
                    print(f"--- --kind {kind} --trial {trial}: {key}\n{traceback.format_exc()[-1500:]}", flush=True)
            count["seconds"] += time.monotonic() - begun
        trial += 1
        if given.trial is not None:
            break
    rows = [
        {"kind": kind, **{key: round(count[key], 1) for key in ("accepted", "refused", "faults", "seconds")}}
        for kind, count in counts.items()
    ]
    for row in rows:
        print(row)
    if given.output:
        with given.output.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
