"""The forward pass: stacks of tiles to probabilities on the chosen device, with a batch that fits its memory."""

import gc
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_semclass.errors import DeviceError, ModelError, brief
from napari_semclass.model import Model
from napari_semclass.model.device import (
    PRECISIONS,
    choose_device,
    default_batch,
    describe,
    fast_precision,
    is_out_of_memory,
)
from napari_semclass.model.runtime import OpenVinoBody, openvino_name


@dataclass
class Forward:
    """A model on its device. `batch` shrinks when memory runs out and stays small from then on."""

    model: Model
    device: torch.device
    precision: torch.dtype
    batch: int
    dihedral: bool = False
    body: OpenVinoBody | None = None

    @classmethod
    def on(
        cls,
        model: Model,
        device: str = "auto",
        batch: int | None = None,
        dihedral: bool = False,
        precision: str | None = None,
    ) -> "Forward":
        """Choose device, precision (one of `PRECISIONS`; None: the usual) and batch, and move the model there."""
        chosen = choose_device(device)
        number = fast_precision(chosen) if precision is None else PRECISIONS[precision]
        return cls(model.on(chosen), chosen, number, batch or default_batch(chosen), dihedral)

    def use(self, runtime: str, precision: torch.dtype) -> None:
        """Compute with "torch" or "openvino" from now on, in this number format.

        Raises
        ------
        SettingsError
            When OpenVINO cannot.
        """
        self.body = OpenVinoBody(self.model, self.device, precision) if runtime == "openvino" else None
        self.precision = precision

    @property
    def runtime_name(self) -> str:
        """What computes the network's body."""
        return "torch" if self.body is None else openvino_name()

    @property
    def device_name(self) -> str:
        """The device in a user's words."""
        return describe(self.device)

    @property
    def precision_name(self) -> str:
        """Number format of the network's body, such as `float32`."""
        return str(self.precision).removeprefix("torch.")

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (n, categories) of normalised grey tiles (n, side, side); see `answers`."""
        return self.answers(tiles)[0]

    def answers(self, tiles: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Probabilities (n, categories) of normalised grey tiles (n, side, side), and how strange they are.

        Strangeness (n,) is None where the model cannot tell; see `model.familiar`.

        Raises
        ------
        DeviceError
            When the device fails, or is out of memory even for one tile.
        ModelError
            When the network answers NaN in float32, too.
        """
        stack = torch.from_numpy(tiles)
        while True:
            # Of OpenVINO's features all tiles are answered at once.
            most = self.batch if self.body is None else len(stack)
            try:
                parts = [self._answers(part.to(self.device)) for part in torch.split(stack, most)]
                strange = [part for _, part in parts if part is not None]
                return (
                    torch.cat([part for part, _ in parts]).numpy(),
                    torch.cat(strange).numpy() if strange else None,
                )
            except (RuntimeError, MemoryError) as error:
                out_of_memory = isinstance(error, MemoryError) or is_out_of_memory(error)
                if not out_of_memory or self.batch == 1:
                    raise DeviceError(f"{self.device_name}: computing failed ({brief(error)}).") from error
            self.batch = max(1, self.batch // 2)
            _release_memory(self.device)

    def feature_map(self, grey: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network's last feature map (y, x, channels) of one picture (height, width), in the size of its input.

        Raises
        ------
        MemoryError
            When the device has too little memory for it.
        DeviceError, ModelError
            As `answers`.
        """
        try:
            with torch.inference_mode():
                picture = torch.from_numpy(np.ascontiguousarray(grey)).to(self.device)
                found = self._map(picture)
                if self.precision != torch.float32 and found.isnan().any():
                    self.use("torch", torch.float32)  # as in `_answers`
                    found = self._map(picture)
                self._refuse_nan(found)
                return found.permute(1, 2, 0).contiguous().cpu().numpy()
        except (RuntimeError, MemoryError) as error:
            if not (isinstance(error, MemoryError) or is_out_of_memory(error)):
                raise DeviceError(f"{self.device_name}: computing failed ({brief(error)}).") from error
        _release_memory(self.device)
        raise MemoryError

    def _map(self, picture: Tensor) -> Tensor:
        """Of the picture, or on average of its flips and turns, each turned back; (channels, y, x)."""
        total: Tensor | None = None
        for flipped in (False, True) if self.dihedral else (False,):
            for turns in range(4) if self.dihedral else (0,):
                view = (picture.flip(0) if flipped else picture).rot90(turns)
                found = self._map_of(view).rot90(-turns, (1, 2))
                found = found.flip(1) if flipped else found
                total = found if total is None else total + found
        assert total is not None  # noqa: S101 - there is always one view
        return total / 8 if self.dihedral else total

    def _map_of(self, view: Tensor) -> Tensor:
        return self.model.feature_map(view, self.precision) if self.body is None else self.body.feature_map(view)

    def answers_of(self, features: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """What `answers` gives, from features (n, features)."""
        with torch.inference_mode():
            shares, strange = self.model.answers_of(torch.from_numpy(features).to(self.device))
            self._refuse_nan(shares)
        return shares.cpu().numpy(), None if strange is None else strange.cpu().numpy()

    def _answers(self, tiles: Tensor) -> tuple[Tensor, Tensor | None]:
        with torch.inference_mode():
            views = _dihedral(tiles) if self.dihedral else [tiles]
            mean, strange = self._mean(views)
            if self.precision != torch.float32 and mean.isnan().any():
                # Some networks pass what float16 can hold; from here on this one computes in float32.
                self.use("torch", torch.float32)
                mean, strange = self._mean(views)
        self._refuse_nan(mean)
        return mean, strange

    def _refuse_nan(self, found: Tensor) -> None:
        if found.isnan().any():
            name = self.model.card.name
            raise ModelError(f"model {name}: its answer is not a number (NaN); the model is damaged, train it again.")

    def _mean(self, views: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        body = None if self.body is None else self._features
        answers = [self.model.answers(view, self.precision, body) for view in views]
        if len(answers) == 1:
            shares, one = answers[0]
            return shares.cpu(), None if one is None else one.cpu()
        strange = [each for _, each in answers if each is not None]
        mean = torch.stack([each for each, _ in answers]).mean(dim=0).cpu()
        return mean, torch.stack(strange).mean(dim=0).cpu() if strange else None

    def _features(self, tiles: Tensor) -> Tensor:
        """Of OpenVINO, a batch at a time."""
        assert self.body is not None  # noqa: S101 - asked for with one only
        return torch.cat([self.body(part) for part in torch.split(tiles, self.batch)])


def _dihedral(tiles: Tensor) -> list[Tensor]:
    """The eight flips and right-angle turns of square tiles (n, side, side)."""
    return [turned for view in (tiles, tiles.flip(2)) for turned in (view.rot90(k, (1, 2)) for k in range(4))]


def _release_memory(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
