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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import izhi_models
from tests.mutations.faults import FAULTS, Fault
from tests.mutations.model import write_models

_PACKAGE = Path(izhi_models.__file__).parent
_SCRIPT = """
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


def plant(fault: Fault | None, rung: str, model: Path, cache: Path) -> Outcome:
    """Check a model with a package that has a fault, or with none.

    Parameters
    ----------
    fault : Fault or None
    rung : str
    model : Path
    cache : Path
        Of compiled programs.
    """
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
            [sys.executable, "-P", "-c", _SCRIPT, str(model), rung],
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
            outcome = plant(fault, fault.rung, models[fault.rung], folder / "cache")
            print(
                f"{outcome.verdict:8} {fault.rung:10} {fault.name}: {outcome.told[:90]}", flush=True
            )
            return outcome

        sound = [plant(None, rung, models[rung], folder / "cache") for rung in models]
        for outcome in sound:
            print(f"without a fault: {outcome.verdict} {outcome.told}")
        with ThreadPoolExecutor(os.cpu_count()) as executor:
            outcomes = list(executor.map(one, FAULTS))
    missed = [item for item in outcomes if not item.is_caught]
    print(f"{len(outcomes) - len(missed)} of {len(outcomes)} faults are caught")
    return int(bool(missed) or any(item.verdict != "holds" for item in sound))


if __name__ == "__main__":
    sys.exit(main())
