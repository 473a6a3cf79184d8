"""fastai callbacks: precision, BatchNorm that stays, running average of weights, and the run's events."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from fastai.callback.core import Callback, CancelFitException, CancelStepException
from torch import Tensor, nn

from napari_semclass.errors import SettingsError

_BATCH_EVENT_S = 1.0
_FASTAI = re.compile(r"^Exception occured in `\w+` when calling event `\w+`:\n\t")


class Precision(Callback):  # type: ignore[misc]
    """Runs the forward pass under autocast; fastai's own does so on CUDA only. Gradients of float16 are scaled."""

    order = 10

    def __init__(self, device: torch.device, precision: torch.dtype) -> None:
        self._device, self._precision = device, precision
        self._context: AbstractContextManager[Any] = nullcontext()
        self._scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16 and device.type == "cuda")

    def before_batch(self) -> None:
        """Enter autocast."""
        self._context = torch.autocast(
            self._device.type, dtype=self._precision, enabled=self._precision != torch.float32
        )
        self._context.__enter__()  # type: ignore[no-untyped-call,unused-ignore]

    def after_pred(self) -> None:
        """Losses are computed in float32."""
        self.learn.pred = self.pred.float()

    def after_loss(self) -> None:
        """Leave autocast: the backward pass follows the precision of the forward pass by itself."""
        self._leave()

    def before_backward(self) -> None:
        """Scale the loss."""
        self.learn.loss_grad = self._scaler.scale(self.loss_grad)

    def before_step(self) -> None:
        """Take the scale off the gradients; a step with infinite ones is left out."""
        if not self._scaler.is_enabled():
            return
        inverse = 1.0 / self._scaler.get_scale()
        finite = True
        for parameter in self.learn.model.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(inverse)
                finite = finite and bool(torch.isfinite(parameter.grad).all())
        self._scaler.update(self._scaler.get_scale() * (1.0 if finite else 0.5))
        if not finite:
            raise CancelStepException

    def after_batch(self) -> None:
        """Leave autocast where the loss was never computed."""
        self._leave()

    def _leave(self) -> None:
        self._context.__exit__(None, None, None)
        self._context = nullcontext()


class StillNorm(Callback):  # type: ignore[misc]
    """Keeps BatchNorm (and dropout) of parts that do not learn as in evaluation, so that they truly stay.

    Parameters
    ----------
    always : bool
        Keep all BatchNorm statistics, also while the network learns.
    """

    order = -5  # right after fastai has put the model into training mode

    def __init__(self, always: bool) -> None:
        self._always = always
        self.body: nn.Module | None = None

    def before_train(self) -> None:
        """Put what stays into evaluation mode."""
        if self.body is not None:
            self.body.eval()
        for module in self.learn.model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                learns = any(parameter.requires_grad for parameter in module.parameters())
                module.train(learns and not self._always)


class Average(Callback):  # type: ignore[misc]
    """A running average of the weights, which is what gets validated and saved.

    Parameters
    ----------
    decay : float
        Per step, in [0, 1); the first steps average over fewer, so that the start is soon forgotten.
    """

    order = 55

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self.steps = 0
        self.weights: dict[str, Tensor] = {}
        self._own: dict[str, Tensor] = {}

    def before_fit(self) -> None:
        """Begin with the weights as they are, unless a resumed run brought its own."""
        if not self.weights:
            self.weights = self._state()

    def after_step(self) -> None:
        """Add the new weights."""
        self.steps += 1
        keep = min(self._decay, self.steps / (self.steps + 9))
        for name, value in _bare(self.learn.model).state_dict().items():
            if value.is_floating_point():
                self.weights[name].lerp_(value, 1 - keep)
            else:
                self.weights[name].copy_(value)

    def before_validate(self) -> None:
        """Validate the average."""
        self._own = self._state()
        _bare(self.learn.model).load_state_dict(self.weights)

    def after_validate(self) -> None:
        """Go on with the latest weights."""
        _bare(self.learn.model).load_state_dict(self._own)
        self._own = {}

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the network the average for a while."""
        self.before_validate()
        yield
        self.after_validate()

    def _state(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in _bare(self.learn.model).state_dict().items()}


def unwrapped(error: Exception) -> Exception:
    """Take off what fastai writes in front of the text of an error from a callback; return the same error."""
    if error.args and isinstance(error.args[0], str):
        error.args = (_FASTAI.sub("", error.args[0]), *error.args[1:])
    return error


def _bare(model: nn.Module) -> nn.Module:
    """The network itself, without what distributed training wraps around it."""
    return model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model


class Follow(Callback):  # type: ignore[misc]
    """Tells of batches and epochs, and ends the fit when it is asked to.

    Parameters
    ----------
    on_batch : callable(batch, batches, loss, images_per_second)
        Called about once a second.
    on_epoch : callable(train_loss, valid_loss, scores, labels, seconds, images_per_second)
        Called after each epoch, validated; scores (tiles, categories) of the validation tiles, or None.
    wish : callable
        Returns True when the fit has to end after this batch.
    """

    order = 80

    def __init__(
        self,
        on_batch: Callable[[int, int, float, float], None],
        on_epoch: Callable[..., None],
        wish: Callable[[], bool],
    ) -> None:
        self._on_batch, self._on_epoch, self._wish = on_batch, on_epoch, wish
        self.ended_at: int | None = None
        self.skip = 0
        self.start_epoch = 0
        self._scores: list[Tensor] = []
        self._labels: list[Tensor] = []
        self._losses: list[Tensor] = []
        self._offset = self._seen = 0
        self._told = self._begun = self._trained_s = 0.0

    def before_train(self) -> None:
        """Set the loader to this epoch, and begin to count."""
        skip = self.skip if self.epoch == self.start_epoch else 0
        loader = self.dls.train
        loader.begin(self.epoch, skip)
        self.learn.pct_train = (self.epoch + skip / len(loader)) / self.n_epoch
        self._offset = skip
        self._losses, self._told, self._begun, self._seen = [], 0.0, time.perf_counter(), 0

    def before_batch(self) -> None:
        """Chance inside the network (dropout, mixup) follows from the batch alone, too."""
        if self.training:
            loader = self.dls.train
            torch.manual_seed(hash((*loader.seed, self.epoch, self.iter + self._offset)) % 2**63)

    def after_loss(self) -> None:
        """Keep scores while validating."""
        if not self.training:
            self._scores.append(self.pred.detach().float().cpu())
            self._labels.append(self.yb[0].detach().cpu())

    def after_batch(self) -> None:
        """Tell now and then; end when asked to."""
        if not self.training:
            return
        self._losses.append(self.loss.detach())
        self._seen += len(self.xb[0]) * self.dls.train.share.processes
        now = time.perf_counter()
        if now - self._told > _BATCH_EVENT_S:
            loss = float(self.loss)
            if loss != loss:
                raise SettingsError("training diverged (the loss is not a number); take a smaller lr in its stages.")
            rate = self._seen / (now - self._begun)
            self._on_batch(self.iter + 1 + self._offset, len(self.dls.train), loss, rate)
            self._told = now
        if self._wish():
            self.ended_at = self.iter + 1 + self._offset
            raise CancelFitException

    def before_validate(self) -> None:
        """Forget the last epoch's scores."""
        self._trained_s = time.perf_counter() - self._begun
        self._scores, self._labels = [], []

    def after_epoch(self) -> None:
        """Tell of the epoch."""
        if not self._losses:  # an epoch skipped on resuming
            return
        train_loss = float(torch.stack(self._losses).mean())
        scores = torch.cat(self._scores) if self._scores else None
        labels = torch.cat(self._labels) if self._labels else None
        seconds = time.perf_counter() - self._begun
        self._on_epoch(train_loss, scores, labels, seconds, self._seen / max(1e-9, self._trained_s))
