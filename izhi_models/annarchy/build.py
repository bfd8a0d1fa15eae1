"""Programs to compiled libraries, each compiled once and kept in a cache.

`generate` lets ANNarchy emit its C++, and the compiler turns that into one library with a C
interface. What is the same for all programs, `driver.cpp` and `connections.cpp`, is compiled at the
same time, or taken from the cache. ANNarchy's own route (cmake, nanobind wrapper) takes several
times longer, ties the library to one Python and grows by seconds per population.

The cache holds one folder per key: with a library and its program, or with one of the fixed parts.
A folder is prepared aside and renamed into place, so it is complete or absent; what does not have
the hash in its manifest counts as absent. Processes may build, use and delete at the same time:
building goes on outside the cache, and a `Built` holds the library itself.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from izhi_models.annarchy.process import Finished, run_limited
from izhi_models.annarchy.program import Program, verify_program
from izhi_models.errors import BackendError, Diagnostic, InputError

_HERE = Path(__file__).parent
_DEFAULT_CACHE_BYTES = 2 * 1024**3
_STALE_SECONDS = 3600.0  # no build takes that long: its process is gone
_UNFINISHED = ".building-"
_LOG_LINES = 8
_DEFAULT_SECONDS = 900.0
# The files that decide, besides the program, what is compiled.
_OWN = (
    "Monitor.hpp", "connections.cpp", "connections.hpp", "driver.cpp", "functions.hpp",
    "network.hpp", "population.hpp", "random.hpp", "values.hpp",
    "generate.py", "populations.py", "printing.py", "projections.py", "write.py",
)  # fmt: skip
_PARTS = ("driver", "connections")
_LIBRARY = "library.so"


@dataclass(frozen=True)
class Built:
    """A compiled program.

    Parameters
    ----------
    program : Program
    key : str
        Name in the cache.
    path : Path
        Where the cache keeps the library; it may be deleted at any time.
    image : bytes
        The library itself.
    seconds : float
        Time that `build` took. [s]
    cached : bool
        Whether nothing had to be compiled.
    """

    program: Program
    key: str
    path: Path
    image: bytes = field(repr=False)
    seconds: float
    cached: bool


@dataclass(frozen=True)
class _Toolchain:
    """All that decides, besides the program, what a library will do."""

    compiler: tuple[str, ...]
    flags: tuple[str, ...]
    annarchy: Path


def build(program: Program, *, progress: Callable[[str], None] | None = None) -> Built:
    """Compile a program, or take the library from the cache.

    Parameters
    ----------
    program : Program
        Its sizes are not part of the compiled code.
    progress : callable, optional
        Called with a few words when a slow stage begins.

    Raises
    ------
    BackendError
        No compiler, or ANNarchy or the compiler refused a definition or took longer than the
        `IZHI_BUILD_SECONDS` that each of them has, or the disk is full.
    InputError
        An environment variable holds nonsense.
    InternalError
        The program holds text that is not generated.
    """
    start = time.perf_counter()
    verify_program(program)
    toolchain = _toolchain(program)
    key = _key(program.to_structure().to_json(), toolchain)
    entry = cache_directory() / key
    image = _read_entry(entry, _LIBRARY)
    cached = image is not None
    if image is None:
        limit = _cache_limit()
        _time_limit()
        image = _compiled(program, toolchain, entry.parent, progress or _ignore)
        with contextlib.suppress(OSError):  # a full disk or a cache deleted just now: not kept
            _publish(
                entry, {_LIBRARY: image, "program.json": program.to_structure().to_json().encode()}
            )
            _prune(entry, limit)
    else:
        _touch(entry)
    return Built(program, key, entry / _LIBRARY, image, time.perf_counter() - start, cached)


def cache_directory() -> Path:
    """Return the folder of compiled programs, made if it is missing.

    It is `$IZHI_CACHE_DIR/programs`, else the user's cache folder, else, where that cannot be
    written, a folder that lasts as long as this process.

    Raises
    ------
    BackendError
        `IZHI_CACHE_DIR` is set and cannot be used.
    """
    chosen = os.environ.get("IZHI_CACHE_DIR")
    root = Path(chosen).absolute() if chosen else platformdirs.user_cache_path("izhi-models")
    directory = root / "programs"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        usable = os.access(directory, os.W_OK | os.X_OK)
        reason = "not writable"
    except OSError as error:
        usable, reason = False, error.strerror or str(error)
    if usable:
        return directory
    if chosen:
        raise BackendError(
            Diagnostic(
                f"IZHI_CACHE_DIR={chosen} cannot be used: {reason}",
                notes=("set it to a folder that you can write, or unset it",),
            )
        )
    return Path(_fallback_directory().name)


@functools.cache
def _fallback_directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="izhi-programs-")


def _ignore(_: str) -> None:
    pass


def _toolchain(program: Program) -> _Toolchain:
    # Without contraction to fused operations the arithmetic is that of the equations as written,
    # on every processor. It costs 2 to 3 % of the time of a run. With -fopenmp-simd, loops over
    # cells use vector instructions, also those with choices, if no processor flag and no errno need
    # tell what happened in the part that was not chosen; the numbers stay the same.
    flags = ["-std=c++14", "-O3", _native_flag(), "-ffp-contract=off", "-fopenmp-simd"]
    flags += ["-fno-trapping-math", "-fno-math-errno", "-DNDEBUG", "-D_DISABLE_PARALLEL_RNG"]
    flags += ["-fPIC", "-fvisibility=hidden", "-w"]
    flags.append(f"-DREAL={program.precision}")
    if program.threads > 1:
        flags.append("-fopenmp")
    return _Toolchain(_compiler(), tuple(flags), annarchy_folder())


def _native_flag() -> str:
    return "-march=native" if platform.machine() in ("x86_64", "AMD64") else "-mcpu=native"


def _compiler() -> tuple[str, ...]:
    """Return the command of the C++ compiler, its first word resolved on the PATH."""
    chosen = os.environ.get("CXX", "")
    candidates = [shlex.split(chosen)] if chosen.strip() else [["g++"], ["clang++"]]
    for words in candidates:
        path = shutil.which(words[0])
        if path is not None:
            return (str(Path(path).absolute()), *words[1:])
    if chosen.strip():
        raise BackendError(
            Diagnostic(f"there is no C++ compiler {chosen!r}", notes=("the variable CXX names it",))
        )
    install = "xcode-select --install" if sys.platform == "darwin" else "apt install g++"
    raise BackendError(
        Diagnostic(
            "no C++ compiler: found neither g++ nor clang++",
            notes=(f"install one, for example with: {install}", "or name one in the variable CXX"),
        )
    )


def annarchy_folder() -> Path:
    """Return the folder of the ANNarchy package without importing it."""
    spec = importlib.util.find_spec("ANNarchy")
    if spec is None or spec.origin is None:
        raise BackendError(Diagnostic("ANNarchy is not installed", notes=("pip install ANNarchy",)))
    return Path(spec.origin).parent


def _key(text: str, toolchain: _Toolchain) -> str:
    release = re.search(
        r'^__release__ = "(.*)"',
        (toolchain.annarchy / "__init__.py").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    # Asking a compiler for its version takes longer than the rest of a cache hit.
    binary = Path(toolchain.compiler[0]).resolve()
    state = binary.stat()
    own = [(_HERE / name).read_bytes() for name in _OWN]
    parts = [
        text,
        release[1] if release else "",
        *toolchain.compiler,
        f"{binary} {state.st_size} {state.st_mtime_ns}",
        *toolchain.flags,
        sys.platform,
        *_processor(),
        *(hashlib.sha256(content).hexdigest() for content in own),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


@functools.cache
def _processor() -> tuple[str, ...]:
    """Return what the compiler's `native` may depend on."""
    wanted = ("vendor_id", "cpu family", "model", "model name", "flags", "Features", "CPU part")
    found = [platform.machine(), platform.processor()]
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if not line.strip():  # the end of the first core
                    break
                if line.split("\t")[0].split(":")[0].strip() in wanted:
                    found.append(line.strip())
    except OSError:
        pass
    return tuple(found)


def _read_entry(entry: Path, name: str) -> bytes | None:
    """Return a file of a cache entry, or None if it is missing or damaged."""
    try:
        manifest = json.loads((entry / "manifest.json").read_bytes())
        content = (entry / name).read_bytes()
        intact = hashlib.sha256(content).hexdigest() == manifest["sha256"][name]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return content if intact else None


def _touch(entry: Path) -> None:
    with contextlib.suppress(OSError):  # deleted meanwhile
        os.utime(entry)


def _compiled(
    program: Program, toolchain: _Toolchain, cache: Path, progress: Callable[[str], None]
) -> bytes:
    """Return the library, generated and compiled in a folder that is deleted in the end."""
    try:
        with tempfile.TemporaryDirectory(prefix="izhi-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            with ThreadPoolExecutor(len(_PARTS)) as executor:
                parts = [
                    executor.submit(_part, item, folder, cache, toolchain, program)
                    for item in _PARTS
                ]
                _generate(program, folder, progress)
                progress("compiling")
                compiled = _compiler_run(["-c", "network.cpp"], "network.o", folder, toolchain)
                _verify_compiled(compiled, toolchain, program)
                objects = ["network.o", *(part.result() for part in parts)]
            linked = _compiler_run(["-shared", *objects], _LIBRARY, folder, toolchain)
            _verify_compiled(linked, toolchain, program)
            return (folder / _LIBRARY).read_bytes()
    except OSError as error:
        raise BackendError(
            Diagnostic(
                f"cannot compile in {tempfile.gettempdir()}: {error.strerror or error}",
                notes=("the variable TMPDIR names another folder",),
            )
        ) from error


def _generate(program: Program, folder: Path, progress: Callable[[str], None]) -> None:
    progress("generating code")
    source = folder / "program.json"
    source.write_text(program.to_structure().to_json(), encoding="utf-8")
    roots = [str(_HERE.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    # -P keeps the current folder, which may hold anything, out of the path of imports.
    command = [sys.executable, "-P", "-W", "ignore", "-m", "izhi_models.annarchy.generate"]
    result = _run(
        [*command, str(source), str(folder)], folder, {"PYTHONPATH": os.pathsep.join(roots)}
    )
    if result.returncode == 0:
        return
    symbol, message = _last_report(result.stderr)
    if result.returncode is None:
        raise _late("ANNarchy", program, symbol)
    head, *rest = message.splitlines() or [f"exit status {result.returncode}"]
    raise BackendError(
        Diagnostic(
            f"ANNarchy could not generate code: {head}",
            notes=(*rest[: _LOG_LINES - 1], *_definitions(program, {symbol})),
        )
    )


def _last_report(text: str) -> tuple[str | None, str]:
    """Return the definition that the generator named last, and what it said of it."""
    last = (text.strip().splitlines() or [""])[-1]
    try:
        report = json.loads(last)
        return report["symbol"], str(report["message"])
    except (ValueError, KeyError, TypeError):
        return None, last


def _part(name: str, folder: Path, cache: Path, toolchain: _Toolchain, program: Program) -> str:
    """Put the object file of a fixed part into a folder; return its name."""
    file = f"{name}.o"
    entry = cache / _key(name, toolchain)
    content = _read_entry(entry, file)
    if content is not None:
        _touch(entry)
        (folder / file).write_bytes(content)
        return file
    # No loop over cells is in it: what a higher level gains, a first run loses twice.
    arguments = ["-O1", "-c", str(_HERE / f"{name}.cpp")]
    _verify_compiled(_compiler_run(arguments, file, folder, toolchain), toolchain, program)
    with contextlib.suppress(OSError):
        _publish(entry, {file: (folder / file).read_bytes()})
    return file


def _compiler_run(
    arguments: list[str], output: str, folder: Path, toolchain: _Toolchain
) -> Finished:
    includes = [_HERE, toolchain.annarchy / "include", toolchain.annarchy / "thirdparty"]
    command = [*toolchain.compiler, *toolchain.flags, *(f"-I{item}" for item in includes)]
    return _run([*command, *arguments, "-o", output], folder, {"LC_ALL": "C"})


def _verify_compiled(result: Finished, toolchain: _Toolchain, program: Program) -> None:
    if result.returncode == 0:
        return
    if result.returncode is None:
        raise _late(Path(toolchain.compiler[0]).name, program, None)
    lines = result.stderr.strip().splitlines()
    errors = [line for line in lines if "error" in line] or lines[-_LOG_LINES:]
    errors = errors[:_LOG_LINES] or [f"exit status {result.returncode}"]
    places = {place for line in errors for place in re.findall(r"\b(pop|proj)(\d+)\.hpp:", line)}
    items = {
        "pop": [item.symbol for item in program.neurons],
        "proj": [item.symbol for item in program.projections],
    }
    symbols = {items[kind][int(number)] for kind, number in places}
    raise BackendError(
        Diagnostic(
            f"{Path(toolchain.compiler[0]).name} could not compile the generated code",
            notes=(*errors, *_definitions(program, symbols)),
        )
    )


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> Finished:
    variables = {**os.environ, **environment, "TMPDIR": str(folder)}
    return run_limited(command, folder, variables, _time_limit())


def _time_limit() -> float:
    text = os.environ.get("IZHI_BUILD_SECONDS", str(_DEFAULT_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise InputError(
            Diagnostic(
                f"IZHI_BUILD_SECONDS={text} is no number of seconds",
                notes=(f"expected a number above 0, such as {_DEFAULT_SECONDS:g}",),
            )
        )
    return seconds


def _late(tool: str, program: Program, symbol: str | None) -> BackendError:
    definitions = _definitions(program, {symbol})
    if not definitions:
        texts = [item.to_text() for item in program.neurons]
        texts += [item.to_text() for item in program.projections]
        definitions = ("the largest definition:", max(texts, key=len))
    return BackendError(
        Diagnostic(
            f"{tool} did not end within {_time_limit():g} s",
            notes=("the variable IZHI_BUILD_SECONDS gives it more time", *definitions),
        )
    )


def _definitions(program: Program, symbols: Collection[str | None]) -> tuple[str, ...]:
    neurons = [item.to_text() for item in program.neurons if item.symbol in symbols]
    projections = [item.to_text() for item in program.projections if item.symbol in symbols]
    return (*neurons, *projections)


def _publish(entry: Path, files: dict[str, bytes]) -> None:
    """Put files into the cache in one step."""
    with tempfile.TemporaryDirectory(
        prefix=_UNFINISHED, dir=entry.parent, ignore_cleanup_errors=True
    ) as name:
        finished = Path(name) / "entry"
        finished.mkdir(mode=0o700)
        hashes = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
        for file, content in files.items():
            (finished / file).write_bytes(content)
        (finished / "manifest.json").write_text(json.dumps({"sha256": hashes}), encoding="utf-8")
        if any(_read_entry(entry, file) is None for file in files):
            shutil.rmtree(entry, ignore_errors=True)
        finished.rename(entry)  # fails if another process has just put its equal library there


def _cache_limit() -> int:
    text = os.environ.get("IZHI_CACHE_BYTES", str(_DEFAULT_CACHE_BYTES))
    if not text.isdecimal():
        raise InputError(
            Diagnostic(
                f"IZHI_CACHE_BYTES={text} is no number of bytes",
                notes=(f"expected a whole number such as {_DEFAULT_CACHE_BYTES}",),
            )
        )
    return int(text)


def _prune(newest: Path, limit: int) -> None:
    """Delete the entries that were not used for longest, and what dead builds left."""
    entries: list[tuple[float, int, Path]] = []
    for folder in newest.parent.iterdir():
        try:
            used = folder.stat().st_mtime
            size = sum(file.stat().st_size for file in folder.iterdir())
        except OSError:  # deleted meanwhile by another process
            continue
        if not folder.name.startswith(_UNFINISHED):
            entries.append((used, size, folder))
        elif time.time() - used > _STALE_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
    total = sum(size for _, size, _ in entries)
    for _, size, folder in sorted(entries):
        if total <= limit:
            break
        if folder != newest:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size
