"""The wheel that `make dist` builds works where it alone is installed, not from the checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)  # sdist, then the wheel from it
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of a new environment that has the wheel, and the dependencies of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    names = {"base": str(folder), "platbase": str(folder)}
    python = Path(sysconfig.get_path("scripts", "venv", vars=names)) / Path(sys.executable).name
    site_packages = Path(sysconfig.get_path("purelib", "venv", vars=names))
    # A path in a .pth file comes last, and .pth files in that folder are not read: an editable covey there is not seen.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel)
    return python


def test_the_wheel_has_all_files_of_the_package(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("covey/")}
    files = {path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert packed == {path.relative_to(ROOT / "src").as_posix() for path in files}


def test_sample_and_cluster_from_the_wheel(python: Path, tmp_path: Path) -> None:
    home = _run(python, "-c", "import covey; print(covey.__file__)", cwd=tmp_path).strip()
    assert Path(home).is_relative_to(python.parents[1])

    covey = python.parent / "covey"
    _run(covey, "sample", ".", "--kind", "digits", cwd=tmp_path)
    options = ["--model", "color_histogram", "-k", "4", "--seed", "0"]
    printed = _run(covey, "cluster", "digits", "--output", "digits.covey", *options, cwd=tmp_path)
    n_images = len(list((tmp_path / "digits").iterdir()))
    assert f"found={n_images} " in printed
    assert (tmp_path / "digits.covey" / "gallery" / "index.html").is_file()
    (table,) = (tmp_path / "digits.covey" / "runs").glob("*/assignments.csv")
    assert len(table.read_text(encoding="utf-8").splitlines()) == n_images + 1


def _run(*words: str | Path, cwd: Path = ROOT) -> str:
    """Run a program without the checkout in Python's path; return its standard output."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
