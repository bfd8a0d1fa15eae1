"""Plants one fault at a time in a copy of the package, and tells which rung catches it.

``python -m tests.mutations.plant`` plants all of them, a few minutes long.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import izhi_models
from tests.mutations.faults import FAULTS, Fault
from tests.mutations.model import SETTINGS, write_models

_PACKAGE = Path(izhi_models.__file__).parent
_CHECK = """
import json, sys
from izhi_models.checks import check
from izhi_models.errors import IzhiError
try:
    rung = check(sys.argv[1], [sys.argv[2]]).rung(sys.argv[2])
    told = [item.measured for item in rung.failures]
    print(json.dumps({"verdict": rung.verdict, "told": told[:1]}))
except IzhiError as error:
    print(json.dumps({"verdict": "refused", "told": [error.diagnostics[0].message[:200]]}))
"""
# Reads a model in one way or writes it in another, and compares it with what it is.
_DIFF = """
import json, sys, tempfile
from pathlib import Path
import izhi_models
from izhi_models.checks import diff
from izhi_models.errors import IzhiError
case, models, settings = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
try:
    with tempfile.TemporaryDirectory() as folder:
        first, second = models["reading"], Path(folder, "out.xml")
        if case == "hdf5":
            second = models["hdf5"]
        elif case == "set":
            first = models["edited"]
            made = izhi_models.load(models["reading"], set=settings)
            izhi_models.export(made, "neuroml", second)
            files = []
            for name, model in (("a", made), ("b", izhi_models.load(first))):
                files.append(Path(folder, f"{name}.h5"))
                model.compile().simulate().save(files[-1])
            diff(*files).raise_if_different()
        elif case == "export":
            first = models["invariants"]
            izhi_models.export(izhi_models.load(first), "neuroml", second)
        else:
            izhi_models.export(izhi_models.load(first), "neuroml-hdf5", second)
        told = [str(item) for item in diff(first, second).differences if item.counts]
    print(json.dumps({"verdict": "fails" if told else "holds", "told": told[:1]}))
except IzhiError as error:
    print(json.dumps({"verdict": "refused", "told": [error.diagnostics[0].message[:200]]}))
"""


@dataclass(frozen=True)
class Outcome:
    """What became of a fault: a verdict of its rung, 'refused', or 'broken'."""

    fault: Fault | None
    verdict: str
    told: str

    @property
    def is_caught(self) -> bool:
        """Whether the check failed, or the package's own verification refused to go on."""
        return self.verdict in ("fails", "refused")


def plant(
    fault: Fault | None, rung: str, model: str, models: Mapping[str, Path], cache: Path
) -> Outcome:
    """Check a model with a package that has a fault, or with none.

    Parameters
    ----------
    fault : Fault or None
    rung : str
    model : str
        That of the rung if empty.
    models : mapping of str to Path
        See `write_models`.
    cache : Path
        Of compiled programs.
    """
    if rung == "diff":
        paths = json.dumps({name: str(path) for name, path in models.items()})
        command = [_DIFF, model, paths, json.dumps(SETTINGS)]
    else:
        command = [_CHECK, str(models[model or rung]), rung]
    with tempfile.TemporaryDirectory() as name:
        package = Path(name) / _PACKAGE.name
        shutil.copytree(_PACKAGE, package)
        if fault is not None:
            file = package / fault.file
            text = file.read_text(encoding="utf-8")
            if text.count(fault.old) != 1:
                return Outcome(fault, "broken", f"{text.count(fault.old)} places in {fault.file}")
            file.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-P", "-c", *command],
            env={**os.environ, "PYTHONPATH": name, "IZHI_CACHE_DIR": str(cache)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        return Outcome(fault, "refused", (done.stderr.strip() or "crashed").splitlines()[-1][:200])
    found = json.loads(done.stdout.splitlines()[-1])
    return Outcome(fault, found["verdict"], "".join(found["told"]))


def main() -> int:
    """Plant all faults; print what became of each; return 1 if one was not caught."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = write_models(folder)

        def one(fault: Fault) -> Outcome:
            outcome = plant(fault, fault.rung, fault.model, models, folder / "cache")
            print(
                f"{outcome.verdict:8} {fault.rung:10} {fault.name}: {outcome.told[:90]}", flush=True
            )
            return outcome

        asked = dict.fromkeys((item.rung, item.model) for item in FAULTS)
        sound = [plant(None, rung, model, models, folder / "cache") for rung, model in asked]
        for (rung, model), outcome in zip(asked, sound, strict=True):
            print(f"without a fault, {rung} {model}: {outcome.verdict} {outcome.told}", flush=True)
        with ThreadPoolExecutor(os.cpu_count()) as executor:
            outcomes = list(executor.map(one, FAULTS))
    missed = [item for item in outcomes if not item.is_caught]
    print(f"{len(outcomes) - len(missed)} of {len(outcomes)} faults are caught")
    return int(bool(missed) or any(item.verdict != "holds" for item in sound))


if __name__ == "__main__":
    sys.exit(main())
