"""Batches on Dask: the same results as in one process, whatever happens to a worker."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import dask
import imageio.v3 as iio
import numpy as np
import pytest

from napari_semclass.classify import Batch, Settings
from napari_semclass.classify import cluster as cluster_module
from napari_semclass.classify.cluster import Cluster, connected
from napari_semclass.classify.results import Results
from napari_semclass.errors import DeviceError, OutputError, SettingsError

distributed = pytest.importorskip("distributed")


@pytest.fixture
def data(tmp_path, three_bands, monkeypatch):
    """Thirteen micrographs, one of them constant, and a file that is none."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    for index in range(12):
        iio.imwrite(folder / f"{index:02}.png", np.roll(three_bands, 10 * index, axis=1))
    iio.imwrite(folder / "blank.png", np.zeros_like(three_bands))
    (folder / "text.tif").write_text("no picture")
    return folder


@pytest.fixture
def threads():
    """A scheduler and a worker in this process: quick to start."""
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        yield Cluster(client, "a worker of the tests")


def run(model, out, cluster=None, **options):
    batch = Batch(["data"], model, Settings(stride=16), out, cluster=cluster, **options)
    for _ in batch.steps():
        pass
    return batch


def written(out):
    """All results but run.json and pictures' bytes, which hold times."""
    tables = {p.name: p.read_bytes() for p in Path(out).rglob("*") if p.suffix in (".csv", ".geojson")}
    return tables | {p.name: iio.imread(p).tobytes() for p in Path(out).rglob("*.png")}


def test_results_are_those_of_one_process(data, wary_model, threads):
    run(wary_model, "alone")
    batch = run(wary_model, "shared", threads)
    assert written("shared") == written("alone")
    said = json.loads(Path("shared/run.json").read_text(encoding="utf-8"))
    assert said["cluster"] == "a worker of the tests"
    assert (said["device"], said["model"]) == ("CPU", {"name": "wary", "sha256": wary_model.sha256})
    assert said["tiles"] == sum(entry.tiles for entry in batch.entries) > 0
    assert {entry.file for entry in run(wary_model, "shared").todo} == {"data/blank.png", "data/text.tif"}


def test_a_stopped_run_goes_on_where_it_was(data, tiny_model, threads):
    stop = threading.Event()
    for step in Batch(["data"], tiny_model, Settings(), "out", cluster=threads).steps(stop):
        if step.finished:
            stop.set()
    left = Batch(["data"], tiny_model, Settings(), "out", cluster=threads)
    assert 0 < len(left.todo) < 14
    assert json.loads(Path("out/run.json").read_text(encoding="utf-8"))["finished"] is None


def test_what_concerns_all_files_ends_the_batch(data, tiny_model, threads, monkeypatch):
    def gone(*_):
        raise DeviceError("CUDA: computing failed.")

    monkeypatch.setattr(cluster_module, "file_steps", gone)
    with pytest.raises(DeviceError, match="CUDA"):
        run(tiny_model, "out", threads)


def test_a_folder_that_workers_do_not_see_is_named(data, tiny_model, threads, monkeypatch):
    monkeypatch.setattr(cluster_module, "Results", lambda out, whole: Results(Path("elsewhere"), whole))
    with pytest.raises(OutputError, match="does not see this folder"):
        run(tiny_model, "out", threads)


def test_a_file_that_kills_its_workers_is_that_files_failure(data, tiny_model, threads, monkeypatch):
    class Dead:
        def result(self):
            raise distributed.KilledWorker("task", None, 3)

    entry = Batch(["data/00.png"], tiny_model, Settings(), "out").entries[0]
    cluster_module._adopt(entry, Dead(), threads)
    assert entry.status == "failed"
    assert "4 workers died" in entry.rows[0].error


def test_wrong_addresses_are_refused_in_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(cluster_module, "_PATIENCE", "1s")
    for address in ("tcp://127.0.0.1:1", "nonsense", str(tmp_path / "none.json")):
        with pytest.raises(SettingsError, match="no Dask scheduler answers"), connected(address=address):
            pass
    with pytest.raises(SettingsError, match="one of them"), connected(2, "tcp://127.0.0.1:1"):
        pass
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SettingsError, match=r"pip install 'napari-semclass\[cluster\]'"), connected(2):
        pass


@pytest.fixture
def processes(tmp_path, wait_until):
    """A scheduler and two workers, each a process; their address file."""
    file = str(tmp_path / "scheduler.json")
    common = ["--no-dashboard", "--scheduler-file", file]
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny"]
    started = [subprocess.Popen([*command, *common]) for command in (scheduler, worker, worker)]
    wait_until(Path(file).exists)
    yield file, started[1]
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_worker_that_is_killed_changes_nothing(data, tiny_model, processes, patience):
    address, victim = processes
    run(tiny_model, "alone")
    with connected(address=address) as cluster:
        cluster.client.wait_for_workers(2, timeout=patience)
        pids = cluster.client.run(lambda: __import__("os").getpid())
        assert victim.pid in pids.values()
        batch = Batch(["data"], tiny_model, Settings(stride=16), "shared", cluster=cluster)
        finished = 0
        for step in batch.steps():
            finished += step.finished
            if finished == 2:
                victim.send_signal(signal.SIGKILL)
        assert len(cluster.client.run(lambda: None)) == 1
    assert written("shared") == written("alone")
    assert (
        "Dask cluster at tcp://127.0.0.1" in json.loads(Path("shared/run.json").read_text(encoding="utf-8"))["cluster"]
    )
    assert dask.config.get("scheduler", None) is None  # or arrays of this process would be computed there from now on
