"""Several processes that learn together: fastai's support of accelerate, with batches that are divided already."""

from typing import Any

from fastai.distributed import DistributedTrainer


class Together(DistributedTrainer):  # type: ignore[misc]
    """Averages gradients over the processes; each loader gives its process a part of the same batch."""

    def __init__(self) -> None:
        # BatchNorm of few tiles per process is what the plan's `norm` decides about, not a sum over processes.
        super().__init__(sync_bn=False)

    def before_fit(self) -> None:
        """Wrap the network; the loaders stay."""
        self.learn.model = self.accelerator.prepare(self.learn.model)

    def before_train(self) -> None:
        """Leave the loader as it is."""

    def before_validate(self) -> None:
        """Leave the loader as it is: every process validates all, as all need the outcome."""

    def after_fit(self) -> None:
        """Unwrap the network."""
        self.learn.model = self.learn.model.module

    def _wrap_dl(self, dl: Any) -> Any:
        return dl
