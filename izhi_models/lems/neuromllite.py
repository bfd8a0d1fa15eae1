"""Networks and simulations in the form of NeuroMLlite, built by the library itself.

Source: NeuroMLlite, https://github.com/NeuroML/NeuroMLlite. The library evaluates text of the file
as Python; what is no plain arithmetic is refused before it sees it.
"""

from __future__ import annotations

import ast
import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from izhi_models.errors import Diagnostic, InputError, Source, Span, UnsupportedError

# The library prints, and writes into the working folder: it gets a process and a folder of its own.
_BUILD = """
import pathlib, sys
from neuromllite.NetworkGenerator import generate_and_run, generate_neuroml2_from_network
from neuromllite.utils import load_network, load_simulation
network = load_network("network.json")
if pathlib.Path("simulation.json").exists():
    simulation = load_simulation("simulation.json")
    built = generate_and_run(
        simulation, "jNeuroML_norun", network=network, base_dir=sys.argv[1], target_dir="."
    )
else:
    built, _ = generate_neuroml2_from_network(
        network, "network.net.nml", base_dir=sys.argv[1], print_summary=False
    )
pathlib.Path("built").write_text(pathlib.Path(built).name)
"""
# What belongs to other simulators, or runs code of the user's choice.
_FOREIGN = ("pynn_", "arbor_", "bindsnet_", "network_reader")
_TEXTS = ("notes", "version", "description", "network")  # are not evaluated
_NODES = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.IfExp,
    ast.List,
    ast.Tuple,
    ast.Load,
    ast.operator,
    ast.unaryop,
    ast.boolop,
    ast.cmpop,
)
_FUNCTIONS = ("random", "abs", "min", "max", "int", "float", "round")
_MODULES = ("math", "numpy")


@contextmanager
def building(folder: Path) -> Iterator[None]:
    """Remove a folder if the block fails."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def build_neuroml(path: Path) -> Path:
    """Build the NeuroML of a NeuroMLlite file.

    Parameters
    ----------
    path : Path
        JSON or YAML with a Network, or with a Simulation that names the file of one.

    Returns
    -------
    Path
        A NeuroML or LEMS file in a new folder of its own, which the caller removes.

    Raises
    ------
    InputError
        If a file is missing or malformed, or the library cannot build the network.
    UnsupportedError
        If it holds cells of other simulators, or a reader of other formats.
    """
    top = _File(path)
    simulation = None
    network = top
    if isinstance(top.content.get("network"), str) and "populations" not in top.content:
        simulation, network = top, _File(path.parent / top.content["network"])
    folder = Path(tempfile.mkdtemp(prefix="izhi-neuromllite-"))
    with building(folder):
        network.write(folder / "network.json")
        if simulation is not None:
            simulation.write(folder / "simulation.json")
        command = [sys.executable, "-c", _BUILD, str(network.path.parent.resolve())]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        built = folder / "built"
        if done.returncode or not built.exists():
            told = done.stderr.strip().splitlines()[-1:] or ["nothing"]
            raise InputError(
                Diagnostic(
                    f"{network.path}: NeuroMLlite cannot build the network",
                    notes=(f"it says: {told[0]}",),
                )
            )
        return folder / built.read_text(encoding="utf-8")


class _File:
    """A file in JSON or YAML whose content is harmless."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise InputError(f"no such file: {path}") from None
        except (OSError, UnicodeError) as error:
            raise InputError(f"cannot read {path}: {error}") from None
        self._source = Source(path, text)
        self._whole = self._parse()
        values = list(self._whole.values()) if isinstance(self._whole, dict) else []
        if len(values) != 1 or not isinstance(values[0], dict):
            raise InputError(
                Diagnostic(
                    f"{path} is no network or simulation of NeuroMLlite",
                    notes=("it is of the form {id: {populations: ..., projections: ...}}",),
                )
            )
        self.content: dict[str, Any] = values[0]
        self._check(self._whole, "", is_value=False)

    def write(self, path: Path) -> None:
        """Write the content as JSON."""
        path.write_text(json.dumps(self._whole), encoding="utf-8")

    def _parse(self) -> Any:
        text = self._source.text
        try:
            return json.loads(text) if self.path.suffix == ".json" else yaml.safe_load(text)
        except json.JSONDecodeError as error:
            raise self._fault(f"not well-formed JSON: {error.msg}", error.pos) from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            raise self._fault(
                f"not well-formed YAML: {error.problem}", mark.index if mark else 0
            ) from None
        except yaml.YAMLError as error:
            raise InputError(f"{self.path} is no YAML: {error}") from None
        except RecursionError:
            raise InputError(f"{self.path} is nested too deeply") from None

    def _fault(self, message: str, start: int, width: int = 1) -> InputError:
        return InputError(Diagnostic(message, Span(self._source, start, start + width)))

    def _at(self, text: str) -> Span:
        start = max(self._source.text.find(text), 0)
        return Span(self._source, start, start + len(text))

    def _check(self, value: Any, key: str, *, is_value: bool) -> None:
        """Raise if anything in a part of the file could be run as code."""
        if isinstance(value, dict):
            for name, item in value.items():
                self._check_key(str(name), key, is_used=item is not None)
                self._check(item, str(name), is_value=is_value or name == "parameters")
        elif isinstance(value, list):
            for item in value:
                self._check(item, key, is_value=is_value)
        elif isinstance(value, str):
            is_text = not is_value and (key in _TEXTS or key.endswith("_file"))
            if not is_text and not _is_harmless(value):
                raise InputError(
                    Diagnostic(
                        f"'{value}' is neither a word, a quantity nor plain arithmetic",
                        self._at(value),
                        ("NeuroMLlite would run it as Python",),
                    )
                )

    def _check_key(self, name: str, parent: str, *, is_used: bool) -> None:
        if name.startswith(_FOREIGN) and is_used:
            raise UnsupportedError(
                Diagnostic(f"'{name}' of NeuroMLlite cannot be run", self._at(name))
            )
        if parent == "parameters" and not name.isidentifier():
            raise InputError(Diagnostic(f"'{name}' is no name of a parameter", self._at(name)))


def _is_harmless(text: str) -> bool:
    """Tell whether text is no Python, or arithmetic only."""
    if any(mark in text for mark in "\"'\\\n\r\0"):
        return False
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return True
    except (RecursionError, MemoryError):
        return False
    return _is_arithmetic(tree)


def _is_arithmetic(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=value):
            return not isinstance(value, str | bytes)
        case ast.Name(id=name):
            return not name.startswith("_")
        case ast.Attribute(value=ast.Name(id=module), attr=name):
            # Other functions of numpy read files.
            return module in _MODULES and not name.startswith("_") and hasattr(math, name)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return name in _FUNCTIONS and all(map(_is_arithmetic, arguments))
        case ast.Call(func=ast.Attribute() as function, args=arguments, keywords=[]):
            return _is_arithmetic(function) and all(map(_is_arithmetic, arguments))
        case _ if isinstance(node, _NODES):
            return all(map(_is_arithmetic, ast.iter_child_nodes(node)))
    return False
