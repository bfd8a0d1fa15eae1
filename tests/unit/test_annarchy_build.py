import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from izhi_models.annarchy import build as module
from izhi_models.annarchy.build import build, cache_directory
from izhi_models.annarchy.program import Equation, Neuron, Program, Projection
from izhi_models.errors import BackendError, InputError, InternalError

NEURON = Neuron("pop_0", (), (Equation("v_1", "dv_1/dt = -v_1", True),), None, (), 3)
PROGRAM = Program((NEURON,))
OTHER = Program((replace(NEURON, spike="v_1 > 1.0"),))

# Stands for the compiler: each output is 1000 bytes, and each library leaves a mark.
COMPILER = """#!/bin/sh
case " $* " in *" -shared "*) echo call >> {log} ;; esac
while [ "$1" != -o ]; do shift; done
head -c 1000 /dev/zero > "$2"
"""


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Replace ANNarchy and the C++ compiler; return the file with one line per compilation."""
    log = tmp_path / "log"
    log.touch()
    use_compiler(tmp_path, monkeypatch, COMPILER.format(log=log))
    return log


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IZHI_CACHE_DIR", str(tmp_path / "the cache"))
    monkeypatch.delenv("IZHI_CACHE_BYTES", raising=False)
    return tmp_path / "the cache" / "programs"


def use_compiler(folder: Path, monkeypatch, script: str) -> None:
    path = folder / "c++"
    path.write_text(script)
    path.chmod(0o755)
    monkeypatch.setenv("CXX", str(path))
    monkeypatch.setattr(module, "_generate", lambda program, folder, progress: None)


def n_calls(log: Path) -> int:
    return len(log.read_text().splitlines())


def test_build__twice__compiles_once(compiler):
    first, second = build(PROGRAM), build(PROGRAM)
    assert (first.cached, second.cached) == (False, True)
    assert first.key == second.key
    assert first.image == second.image == bytes(1000)
    assert n_calls(compiler) == 1


def test_build__parts_of_all_programs__are_compiled_once(tmp_path, compiler, cache):
    log = tmp_path / "arguments"
    script = Path(os.environ["CXX"]).read_text()
    Path(os.environ["CXX"]).write_text(script.replace("case", f'echo "$*" >> {log}\ncase', 1))
    for program in (PROGRAM, OTHER, replace(PROGRAM, precision="float")):
        build(program)
    compiled = [line for line in log.read_text().splitlines() if "driver.cpp" in line]
    assert len(compiled) == 2
    assert ["-DREAL=float" in line for line in compiled] == [False, True]


def test_build__other_sizes__compiles_once(compiler):
    build(PROGRAM)
    larger = Program((replace(NEURON, size=1000),))
    built = build(larger)
    assert built.cached
    assert built.program == larger


@pytest.mark.parametrize(
    "program",
    [
        OTHER,
        replace(PROGRAM, precision="float"),
        replace(PROGRAM, threads=2),
        Program(
            (replace(NEURON, equations=(Equation("v_1", "v_1 = g_in_1", False),)),),
            projections=(Projection("proj_0", 0, 0, "in_1"),),
        ),
    ],
)
def test_build__other_structure__compiles_again(compiler, program):
    assert build(program).key != build(PROGRAM).key
    assert n_calls(compiler) == 2


def test_build__other_compiler__compiles_again(compiler):
    build(PROGRAM)
    path = Path(os.environ["CXX"])
    path.write_text(path.read_text() + "# a new version\n")
    assert not build(PROGRAM).cached


def test_build__entry__is_private_and_holds_the_program(compiler, cache):
    built = build(PROGRAM)
    assert cache.stat().st_mode & 0o777 == 0o700
    assert built.path.parent.stat().st_mode & 0o777 == 0o700
    assert {file.name for file in built.path.parent.iterdir()} == {
        "library.so",
        "manifest.json",
        "program.json",
    }
    stored = Program.from_json((built.path.parent / "program.json").read_text())
    assert stored == PROGRAM.to_structure()


@pytest.mark.parametrize("name", ["library.so", "manifest.json"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", bytes(999)])
def test_build__damaged_entry__is_built_again(compiler, name, content):
    path = build(PROGRAM).path.parent / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert build(PROGRAM).image == bytes(1000)
    assert n_calls(compiler) == 2
    assert build(PROGRAM).cached


def test_build__cache_deleted__is_built_again(compiler, cache):
    build(PROGRAM)
    shutil.rmtree(cache.parent)
    assert not build(PROGRAM).cached
    assert build(PROGRAM).cached


def test_build__cache_deleted_while_compiling__gives_the_library(tmp_path, monkeypatch, cache):
    script = COMPILER.format(log=os.devnull) + f'rm -rf "{cache.parent}" || true\n'
    use_compiler(tmp_path, monkeypatch, script)
    assert build(PROGRAM).image == bytes(1000)


def test_build__another_process_is_first__leaves_its_entry(tmp_path, monkeypatch, compiler, cache):
    entry = build(PROGRAM).path.parent
    kept = tmp_path / "kept"
    entry.rename(kept)
    # Several compilers run at once, and one of them is to do it.
    copy = f'mkdir "{tmp_path / "once"}" 2>/dev/null && cp -r "{kept}" "{entry}"\ntrue\n'
    script = COMPILER.format(log=os.devnull) + copy
    Path(os.environ["CXX"]).write_text(script)
    key = module._key
    monkeypatch.setattr(
        module, "_key", lambda text, *rest: entry.name if "{" in text else key(text, *rest)
    )
    assert build(PROGRAM).image == bytes(1000)
    assert entry.is_dir()
    assert not [item for item in cache.iterdir() if item.name.startswith(".")]


def test_build__failing_compiler__reports_errors_and_definition(tmp_path, monkeypatch, cache):
    script = """#!/bin/sh
echo "pop0.hpp: In function 'void f()':" >&2
echo "pop0.hpp:42:7: error: 'nothing' was not declared in this scope" >&2
exit 1
"""
    use_compiler(tmp_path, monkeypatch, script)
    with pytest.raises(BackendError) as caught:
        build(PROGRAM)
    assert str(caught.value) == (
        "error: c++ could not compile the generated code\n"
        "  pop0.hpp:42:7: error: 'nothing' was not declared in this scope\n"
        "  neuron pop_0\n"
        "  dv_1/dt = -v_1"
    )
    assert list(cache.iterdir()) == []


def test_build__failing_projection__reports_its_definition(tmp_path, monkeypatch):
    script = "#!/bin/sh\necho \"proj1.hpp:7:1: error: 'nothing'\" >&2\nexit 1\n"
    use_compiler(tmp_path, monkeypatch, script)
    neuron = replace(NEURON, equations=(Equation("v_1", "v_1 = g_in_1", False),))
    projections = (Projection("proj_0", 0, 0, "in_1"), Projection("proj_1", 0, 0, "in_1"))
    with pytest.raises(BackendError) as caught:
        build(Program((neuron,), projections=projections))
    assert "projection proj_1 from neuron 0" in str(caught.value)
    assert "proj_0" not in str(caught.value)


# Starts another process, as a compiler does, and waits for it.
ENDLESS = """#!/bin/sh
sleep 1000 &
echo $! >> "{log}"
echo '{{"symbol": "pop_1", "message": ""}}' >&2
wait
"""


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("stage", ["compiler", "generator"])
def test_build__endless__is_killed_and_names_the_definition(tmp_path, monkeypatch, cache, stage):
    log, scratch = tmp_path / "log", tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    generate = module._generate
    use_compiler(tmp_path, monkeypatch, ENDLESS.format(log=log))
    if stage == "generator":
        monkeypatch.setattr(module, "_generate", generate)
        monkeypatch.setattr("sys.executable", os.environ["CXX"])
    monkeypatch.setenv("IZHI_BUILD_SECONDS", "2")
    larger = replace(OTHER.neurons[0], symbol="pop_1")
    with pytest.raises(BackendError) as caught:
        build(Program((NEURON, larger)))
    tool = {"compiler": "c++", "generator": "ANNarchy"}[stage]
    assert f"{tool} did not end within 2 s\n  the variable IZHI_BUILD_SECONDS" in str(caught.value)
    assert "neuron pop_1" in str(caught.value)
    assert "neuron pop_0" not in str(caught.value)
    assert not any(is_running(int(pid)) for pid in log.read_text().split())
    assert list(cache.iterdir()) == list(scratch.iterdir()) == []


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan", "inf"])
def test_build__time_limit_that_is_none__is_refused(compiler, monkeypatch, seconds):
    monkeypatch.setenv("IZHI_BUILD_SECONDS", seconds)
    with pytest.raises(InputError, match="IZHI_BUILD_SECONDS"):
        build(PROGRAM)
    assert n_calls(compiler) == 0


def test_build__no_compiler__names_the_package(monkeypatch, tmp_path):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendError, match=r"g\+\+|xcode-select --install"):
        build(PROGRAM)


def test_build__chosen_compiler_missing__names_it(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler -O3")
    with pytest.raises(BackendError, match="no-such-compiler"):
        build(PROGRAM)


def test_build__foreign_text__is_refused_before_anything_runs(compiler):
    with pytest.raises(InternalError):
        build(Program((replace(NEURON, spike="exit()"),)))
    assert n_calls(compiler) == 0


def test_build__cache_over_its_limit__loses_the_longest_unused(compiler, monkeypatch):
    old, middle = build(PROGRAM).path.parent, build(OTHER).path.parent
    os.utime(old, (1e9, 1e9))
    os.utime(middle, (2e9, 2e9))
    build(PROGRAM)  # a use makes it the youngest
    os.utime(middle, (1.5e9, 1.5e9))
    monkeypatch.setenv("IZHI_CACHE_BYTES", "8500")  # not for all: 3 of 1500 bytes, 4 parts of 1100
    newest = build(replace(PROGRAM, threads=2)).path.parent
    assert newest.exists()
    assert old.exists()
    assert not middle.exists()


def test_build__limit_below_one_entry__keeps_the_newest(compiler, monkeypatch):
    monkeypatch.setenv("IZHI_CACHE_BYTES", "0")
    first, second = build(PROGRAM).path, build(OTHER).path
    assert not first.exists()
    assert second.exists()


def test_build__limit_is_no_number__says_so(compiler, monkeypatch):
    monkeypatch.setenv("IZHI_CACHE_BYTES", "2 GB")
    with pytest.raises(InputError, match="IZHI_CACHE_BYTES=2 GB"):
        build(PROGRAM)


def test_build__left_by_a_crash__is_removed_when_old(compiler, cache):
    fresh, stale = cache / ".building-fresh", cache / ".building-stale"
    for folder in (fresh, stale):
        folder.mkdir(parents=True)
    os.utime(stale, (1e9, 1e9))
    build(PROGRAM)
    assert fresh.exists()
    assert not stale.exists()


def test_build__half_written_entry__is_not_believed(compiler, cache):
    key = build(PROGRAM).key
    (cache / key / "manifest.json").unlink()
    (cache / key / "library.so").write_bytes(b"half")
    assert build(PROGRAM).image == bytes(1000)
    manifest = json.loads((cache / key / "manifest.json").read_text())
    assert manifest["sha256"].keys() == {"library.so", "program.json"}


def test_cache_directory__home_cannot_be_written__is_temporary(monkeypatch):
    monkeypatch.delenv("IZHI_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", os.devnull)
    directory = cache_directory()
    assert directory.is_dir()
    assert directory.stat().st_mode & 0o777 == 0o700
    assert cache_directory() == directory


def test_cache_directory__chosen_one_cannot_be_made__says_so(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("IZHI_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(BackendError, match="IZHI_CACHE_DIR="):
        cache_directory()
