"""Sessions without a project: saved by themselves, offered again when they ended unsaved, at most ten of them."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from napari_semclass.annotate import ImageEntry, MarkLayer, Project, autosave_folder, discard, leftovers, write_project


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCLASS_AUTOSAVE", str(tmp_path / "autosave"))
    return tmp_path / "autosave"


def project(marks):
    points = np.zeros((marks, 2))
    return Project(
        images=(ImageEntry("a", "cell.tif", None, (5, 5), "uint8"),),
        layers=(MarkLayer("a", "points", "p", points, (1,) * marks),),
    )


def ended(root, number, marks=1):
    """A session whose process is gone."""
    folder = root / f"20260101-0000{number:02d}-{2**22 + number}-1.semclass"
    write_project(project(marks), folder)
    os.utime(folder / "project.json", (1_000_000 + number,) * 2)
    return folder


def test_a_session_has_a_folder_of_its_own_that_is_not_offered_while_it_runs(root):
    folder = autosave_folder()
    assert folder.parent == root
    assert folder.suffix == ".semclass"
    assert not folder.exists()
    write_project(project(2), folder)
    assert autosave_folder() != folder
    assert leftovers() == []


def test_a_session_of_another_running_process_is_neither_offered_nor_thrown_away(root):
    code = "from napari_semclass.annotate import autosave_folder as f; print(f().name, flush=True); "
    code += "input()"
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    folder = root / other.stdout.readline().strip()
    write_project(project(1), folder)
    for number in range(12):
        ended(root, number)
    autosave_folder()
    assert folder.exists()
    assert folder not in [one.folder for one in leftovers()]
    other.kill()
    other.communicate()
    assert folder in [one.folder for one in leftovers()]


def test_ended_sessions_are_offered_the_last_first_with_what_they_hold(root):
    first = ended(root, 1, marks=3)
    time.sleep(1.1)  # times are kept to the second
    second = ended(root, 2, marks=5)
    found = leftovers()
    assert [(one.folder, one.marks, one.images) for one in found] == [
        (second, 5, ("cell.tif",)),
        (first, 3, ("cell.tif",)),
    ]
    assert found[0].saved > found[1].saved
    assert found[0].saved.tzinfo is not None


def test_painted_areas_count_as_marks(root):
    labels = np.zeros((50, 50), dtype=np.int32)
    labels[5:9, 5:9] = labels[20:30, 20:30] = 1
    labels[40, 40] = 70_000  # a value of the user's own
    folder = ended(root, 1)
    write_project(Project(layers=(MarkLayer("a", "labels", "p", labels),)), folder, overwrite=True)
    assert leftovers()[0].marks == 3


def test_sessions_without_marks_and_damaged_ones_are_not_offered(root):
    ended(root, 1, marks=0)
    damaged = ended(root, 2)
    (damaged / "project.json").write_text("{")
    (root / "notes.semclass").mkdir()
    assert leftovers() == []
    assert damaged.exists()


def test_at_most_ten_are_kept_the_oldest_go_first(root):
    folders = [ended(root, number) for number in range(14)]
    autosave_folder()
    assert [folder.exists() for folder in folders] == [False] * 5 + [True] * 9


def test_only_sessions_are_thrown_away(root, tmp_path):
    session, named = ended(root, 1), tmp_path / "precious.semclass"
    write_project(project(1), named)
    for folder in (session, named):
        discard(folder)
    assert not session.exists()
    assert named.exists()


def test_where_nothing_was_saved_nothing_is_offered():
    assert leftovers() == []
