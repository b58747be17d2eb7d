#!/usr/bin/env bash
# Run the default suite with the lowest versions that pyproject.toml allows; further words are passed on to pytest.
# Makes an environment of its own in build/lowest-versions, some 8 GB with a build of PyTorch for graphics cards.
set -euo pipefail
cd "$(dirname "$0")/.."

environment=build/lowest-versions
python=$environment/bin/python
mkdir -p build

# name>=1.2 becomes name==1.2 for every dependency of covey and of the extras; what they depend on is left to pip.
"${PYTHON:-python3}" - > build/lowest-versions.txt <<'END'
import re
import tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
rows = [*project["dependencies"], *(row for extra in project["optional-dependencies"].values() for row in extra)]
for row in sorted(rows):
    if bound := re.match(r"([\w-]+)>=([\w.]+)", row):
        print(f"{bound[1]}=={bound[2]}")
END
cat build/lowest-versions.txt

if [ ! -x $python ] || [ build/lowest-versions.txt -nt $environment/pyvenv.cfg ]; then
    "${PYTHON:-python3}" -m venv --clear $environment
    $python -m pip install --quiet --disable-pip-version-check --upgrade pip
    $python -m pip install --quiet --disable-pip-version-check --constraint build/lowest-versions.txt \
        --editable . --group test
fi
$python -m pip list --disable-pip-version-check
exec env OMP_NUM_THREADS=1 PYTHONPATH=src $python -m pytest "$@"
