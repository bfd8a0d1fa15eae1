from pathlib import Path

import numpy as np
import pytest

from izhi_models.errors import InputError
from izhi_models.scripts import Script

PLAIN = Script("print(1)\n", {})
WITH_ARRAYS = Script("print(2)\n", {"weights": np.array([0.5, 1.5])})


def test_a_script_without_arrays_is_one_file(tmp_path: Path) -> None:
    assert PLAIN.write(tmp_path / "new" / "a.py") == (tmp_path / "new" / "a.py",)
    assert (tmp_path / "new" / "a.py").read_text() == "print(1)\n"
    assert [item.name for item in (tmp_path / "new").iterdir()] == ["a.py"]


def test_arrays_stand_beside_the_script(tmp_path: Path) -> None:
    assert WITH_ARRAYS.write(tmp_path / "a.py") == (tmp_path / "a.py", tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays["weights"].tolist() == [0.5, 1.5]


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no name of a script"):
        WITH_ARRAYS.write(tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", ["a.py", "a.npz"])
def test_if_one_file_cannot_be_written_the_other_is_not(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    with pytest.raises(InputError, match=f"cannot write '.*{folder}': it is a folder"):
        WITH_ARRAYS.write(tmp_path / "a.py")
    assert [item.name for item in tmp_path.iterdir()] == [folder]


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match=r"cannot write '.*a.py': '.*taken' is no folder"):
        PLAIN.write(tmp_path / "taken" / "a.py")
