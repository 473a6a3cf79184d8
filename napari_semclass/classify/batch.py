"""Many files: results beside each other in a folder, resumed where a run was cut short."""

import threading
from collections.abc import Generator, Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path

from napari_semclass.classify.cluster import Cluster, cluster_steps
from napari_semclass.classify.grid import tile_grid
from napari_semclass.classify.inputs import find_inputs
from napari_semclass.classify.journal import Journal
from napari_semclass.classify.pipeline import BatchStep, file_steps
from napari_semclass.classify.record import Record, as_before, resolved
from napari_semclass.classify.rejection import rejection_of
from napari_semclass.classify.results import Results
from napari_semclass.classify.resume import make_plan
from napari_semclass.classify.settings import Settings
from napari_semclass.classify.versions import versions
from napari_semclass.errors import SettingsError
from napari_semclass.micrograph import SUFFIXES
from napari_semclass.model import Model, choose_device
from napari_semclass.model.device import describe
from napari_semclass.model.runtime import need_openvino
from napari_semclass.writing import alone_in, clear_leftovers


class Batch:
    """What is to be classified into one folder, and the record of what is.

    Parameters
    ----------
    paths : iterable of str or Path
        Files, folders and patterns; see `find_inputs`.
    model : Model
    settings : Settings
    out : str or Path
        Output folder; made when it is not there.
    overwrite : bool
        Classify everything again, even if model or settings were others.
    cluster : Cluster, optional
        Workers to do it; see `cluster.connected`. Results are the same.

    Attributes
    ----------
    entries : list of Entry
        All inputs found, in order.
    todo : list of Entry
        Those of them still to be classified: new, changed, failed last time, or with missing outputs.
    record : Record
        What run.json says: `entries`, and inputs of earlier runs into the same folder.

    Raises
    ------
    SettingsError, DeviceError
        Nothing to classify, impossible settings, no such device.
    OutputError
        The folder holds results of another model or other settings, or files that are not of this program.
    """

    def __init__(
        self,
        paths: Iterable[str | Path],
        model: Model,
        settings: Settings,
        out: str | Path,
        overwrite: bool = False,
        cluster: Cluster | None = None,
    ) -> None:
        paths = list(paths)
        inputs = find_inputs(paths, out)
        if not inputs:
            where = ", ".join(str(path) for path in paths)
            raise SettingsError(f"{where}: no images found; looked for {' '.join(SUFFIXES)} in it and below.")
        # Moved to its device once, not with every file; workers have devices of their own.
        settings = settings if overwrite else as_before(settings, Path(out))
        self.model = model if cluster else model.on(choose_device(settings.device))
        self.settings, self.out, self._cluster = settings, Path(out), cluster
        self.record = _new_record(model, settings, cluster)
        self._results = Results(self.out, whole=settings.mode == "whole")
        plan = make_plan(inputs, self.record, self._results, overwrite)
        self.entries, self.todo, self._stale = plan.entries, plan.todo, plan.stale
        self.record.files = [*plan.entries, *plan.kept]

    def steps(self, stop: threading.Event | None = None) -> Generator[BatchStep, None, None]:
        """Classify what is to do, yielding after every batch of tiles and after every file.

        No file's failure ends it: the reason is in the file's rows. Each finished file is recorded at once, also when
        the generator is closed early or the process killed; running again then goes on with what is missing.

        Raises
        ------
        OutputError, DeviceError
            When results cannot be written, another process is writing there, or the device fails.
        """
        stop = stop or threading.Event()
        with alone_in(self.out):
            clear_leftovers(self.out)
            for entry in self._stale:
                self._results.remove(entry)
            with Journal(self.out, self.record) as journal, closing(self._file_steps(stop)) as steps:
                for step in steps:
                    self._note(step.how)
                    if step.prediction is not None and step.prediction.made:
                        made = step.prediction.made
                        self._note(("", str(made["precision"]), str(made["runtime"])))
                    if step.finished:
                        journal.add(step.entry)
                    yield step
                if not stop.is_set():
                    self.record.finished = _now()

    def _note(self, how: tuple[str, str, str]) -> None:
        """Record the devices, precisions and runtimes of workers, of which there may be several."""
        for name, found in zip(("device", "precision", "runtime"), how, strict=True):
            said = getattr(self.record, name)
            if found and found not in said.split(", "):
                setattr(self.record, name, ", ".join(filter(None, [said, found])))

    def _file_steps(self, stop: threading.Event) -> Generator[BatchStep, None, None]:
        if self._cluster is not None:
            return cluster_steps(self.todo, self.model, self.settings, self._results, stop, self._cluster)
        return file_steps(self.todo, self.model, self.settings, self._results, stop)


def _new_record(model: Model, settings: Settings, cluster: Cluster | None) -> Record:
    device = None if cluster else choose_device(settings.device)
    if device is not None and settings.runtime == "openvino":
        need_openvino(model, device)
    values = resolved(settings, model.card)
    rejection = rejection_of(settings.reject, model.card)
    if values["tile"] is not None:  # impossible ones are refused here, once, and not with every file
        tile_grid((values["tile"], values["tile"]), values["tile"], values["stride"])
    return Record(
        versions=versions(),
        device="" if device is None else describe(device),
        precision="",  # said by what is computed
        cluster=cluster.name if cluster else "",
        model={"name": model.card.name, "sha256": model.sha256},
        settings=values,
        categories=list(model.card.names),
        started=_now(),
        unknown="" if rejection is None else rejection.category.name,
    )


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
