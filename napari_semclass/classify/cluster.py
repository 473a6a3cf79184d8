"""Batches on several processes or machines, by Dask distributed: one file is one task, retried where it fails."""

import atexit
import json
import logging
import os
import socket
import tempfile
import threading
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_semclass.classify.pipeline import BatchStep, Clock, file_steps
from napari_semclass.classify.record import Entry, Row
from napari_semclass.classify.results import Results
from napari_semclass.classify.settings import Settings
from napari_semclass.errors import DeviceError, OutputError, SemclassError, SettingsError, brief
from napari_semclass.memory import keep_freed_memory
from napari_semclass.model import Model, load_model_file, save_model

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

_RETRIES = 2
# Tasks that the scheduler knows of: enough for it to ask for more workers, few enough for it to stay quick.
_WAITING = 256
_PATIENCE = "20s"
# One model at a time per process, by hash: a worker serves one run after the other.
_loaded: dict[str, Model] = {}
_loading = threading.Lock()


@dataclass(frozen=True)
class Cluster:
    """Workers that are connected; `name` says which, in a user's words, and goes into run.json.

    `threads` is how many each worker computes with; None leaves it to the worker's environment.
    """

    client: "Client"
    name: str
    threads: int | None = None


@contextmanager
def connected(workers: int | None = None, address: str | None = None) -> Iterator[Cluster | None]:
    """Workers for the time of the block: so many processes on this computer, or those of a scheduler.

    Parameters
    ----------
    workers : int
        Processes to start here; they share the processor's cores.
    address : str
        A Dask scheduler's, such as `tcp://10.0.0.1:8786`, or a file that it wrote (`--scheduler-file`).

    Yields
    ------
    Cluster or None
        None where neither is given: then this process does the work.

    Raises
    ------
    SettingsError
        Both are given, Dask distributed is not installed, or no scheduler answers.
    """
    if workers is None and address is None:
        yield None
        return
    if workers is not None and address is not None:
        raise SettingsError("--workers starts workers here and --cluster uses those of a scheduler; give one of them.")
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise SettingsError(
            "--workers and --cluster need Dask distributed: pip install 'napari-semclass[cluster]'"
        ) from error
    if workers is not None:
        cores = int(os.environ.get("OMP_NUM_THREADS") or 0) or max(1, (os.cpu_count() or 1) // workers)
        local = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": None, "host": "127.0.0.1"}
        with (
            _unless_stopped(lambda: LocalCluster(n_workers=workers, silence_logs=logging.CRITICAL, **local)) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            client.run(keep_freed_memory)
            yield Cluster(client, f"{workers} worker processes on this computer", cores)
        return
    try:
        if str(address).endswith(".json"):
            json.loads(Path(str(address)).read_bytes())  # Dask would wait for it without end
            client = Client(scheduler_file=address, timeout=_PATIENCE, set_as_default=False)
        else:
            client = Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"--cluster {address}: no Dask scheduler answers there ({brief(error)}); give the address that "
            "`dask scheduler` prints, such as tcp://10.0.0.1:8786."
        ) from error
    with client:
        yield Cluster(client, f"Dask cluster at {client.scheduler.address}")


def _unless_stopped(begin: "Callable[[], LocalCluster]") -> "LocalCluster":
    """Start workers; where that is broken off, as by Ctrl-C, they go down with this process."""
    try:
        return begin()
    except KeyboardInterrupt:
        from distributed.deploy.spec import close_clusters

        # At exit, Dask would try to close what has not begun yet, and print a traceback.
        atexit.unregister(close_clusters)
        raise


def cluster_steps(
    todo: Sequence[Entry], model: Model, settings: Settings, results: Results, stop: threading.Event, cluster: Cluster
) -> Generator[BatchStep, None, None]:
    """As `pipeline.file_steps`, on a cluster: yields finished files in the order in which they come.

    Workers read the micrographs and write the results themselves, so all of them must see the same folders. Results
    are those of a local run. A task that fails for a reason that may pass (disk, device) is tried again; one whose
    worker is lost goes to another. Left early, tasks that have not begun are withdrawn.

    Raises
    ------
    OutputError, DeviceError
        When results cannot be written, the device fails, or the scheduler is lost.
    """
    from distributed import as_completed

    run = f"semclass-{uuid.uuid4().hex[:12]}"
    seen = Results(results.out.absolute(), results.whole)
    cluster.client.register_plugin(_plugin(ShippedModel.of(model, cluster.threads)), name=run)
    coming = iter(enumerate(todo))
    running: dict[Future, tuple[int, Entry]] = {}
    finished, clock = as_completed(loop=cluster.client.loop), Clock()

    def feed() -> None:
        for index, entry in coming:
            future = cluster.client.submit(
                _classify, entry, settings, seen, run, key=f"{run}-{index}", retries=_RETRIES, pure=False
            )
            running[future] = index, entry
            finished.add(future)
            if len(running) >= _WAITING:
                return

    try:
        feed()
        for future in finished:
            index, entry = running.pop(future)
            how = _adopt(entry, future, cluster)
            entry.seconds = clock.lap()
            yield BatchStep(entry, index, how=how)
            if stop.is_set():
                return
            feed()
    finally:
        with suppress(Exception):  # workers may be gone: Ctrl-C reaches the processes on this computer, too
            cluster.client.cancel(list(running))
            cluster.client.unregister_worker_plugin(run)


@dataclass(frozen=True)
class ShippedModel:
    """A model on its way to the workers, as the bytes of a model file; each worker builds it once."""

    content: bytes = field(repr=False)
    sha256: str
    threads: int | None

    @classmethod
    def of(cls, model: Model, threads: int | None) -> "ShippedModel":
        """The model in full precision, so that workers answer as this process would."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            save_model(model.network, model.card, path, half=False, familiar=model.familiar)
            return cls(path.read_bytes(), model.sha256, threads)

    @cached_property
    def model(self) -> Model:
        """The model, in this process once for each hash."""
        import torch

        with _loading:
            if self.threads is not None:
                torch.set_num_threads(self.threads)
            if self.sha256 not in _loaded:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "model.safetensors"
                    path.write_bytes(self.content)
                    _loaded.clear()
                    _loaded[self.sha256] = replace(load_model_file(path), sha256=self.sha256)
            return _loaded[self.sha256]


def _plugin(shipped: ShippedModel) -> Any:
    """What Dask hands to every worker, also to those that come later."""
    from distributed import WorkerPlugin

    plugin = WorkerPlugin()
    plugin.shipped = shipped
    return plugin


def _classify(entry: Entry, settings: Settings, results: Results, run: str) -> tuple[Entry, tuple[str, str, str]]:
    """The task: classify one file on a worker. Its entry filled in, and device, precision and runtime."""
    from distributed import get_worker

    if not results.out.is_dir():
        raise OutputError(
            f"{results.out}: the worker on {socket.gethostname()} does not see this folder; all workers need the same "
            "folders for images and results, under the same names."
        )
    model = get_worker().plugins[run].shipped.model
    how = "", "", ""
    for step in file_steps([entry], model, settings, results, threading.Event()):
        if step.prediction is not None and step.prediction.made is not None:
            made = step.prediction.made
            how = made["device"], made["precision"], made["runtime"]
    return entry, how


def _adopt(entry: Entry, future: "Future", cluster: Cluster) -> tuple[str, str, str]:
    """Fill in an entry with what its task says."""
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    done: Entry
    how: tuple[str, str, str]
    try:
        done, how = future.result()
    except KilledWorker as error:
        times = error.allowed_failures + 1
        entry.status, entry.tiles = "failed", 0
        said = f"{times} workers died over it, perhaps for want of memory; classify it alone or with a smaller --batch."
        entry.rows = [Row(entry.file, error=said)]
        return "", "", ""
    except SemclassError:
        raise
    except FutureCancelledError as error:
        raise DeviceError(f"{cluster.name}: was lost; run the same command again to go on.") from error
    except Exception as error:
        raise DeviceError(f"{cluster.name}: a worker failed ({type(error).__name__}: {brief(error)}).") from error
    entry.status, entry.rows, entry.tiles = done.status, done.rows, done.tiles
    entry.size, entry.mtime_ns = done.size, done.mtime_ns
    return how
