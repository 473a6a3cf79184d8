"""Ours against what else one would use: the same network, weights and tiles, pixels in memory, end to end.

    python benchmarks/peers.py [--network starter] [--network resnet50] [--rounds 7] [--side 6] [--threads 1]
                               [--tia PYTHON] [--keep]

Against the bare forward pass on ready input (the best of a few settings, in our precision), a loop as WSInfer's
(DataLoader, PIL crop, torchvision's Resize, ToTensor and Normalize, float32 in torch's usual layout, batches of 32),
fastai's `get_preds` on a DataLoader of the tiles (batches of 64, its default), and TIAToolbox's PatchPredictor (batches
of 32), which needs a Python of its own: `--tia` is the interpreter of an environment with tiatoolbox in it. All of them
are asked in turn, round by round. Ours is asked with torch and with OpenVINO, at fp32 and at bf16, and what share of
the tiles each answers as torch does at fp32 is printed. ResNet-50 has random weights, which does not matter for speed.

Ours and the bare forward pass run in this process, with the memory settings of `semclass`, which is a process of its
own. The others run in processes of their own, each twice: as they come, and with the same memory settings, which none
of them makes.

Ratios of processor time come first: on a busy machine it is what a job itself costs. With one thread it is also the
time of a quiet machine; wall time is given besides. `--keep` writes `results/peers_NETWORK.json`.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from results import keep
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torchvision.transforms import v2

from napari_semclass import Micrograph, Model, Settings, classification_steps, load_model, memory
from napari_semclass.memory import keep_freed_memory
from napari_semclass.model import build_network
from napari_semclass.model.device import PRECISIONS, choose_device
from napari_semclass.model.folding import folded
from napari_semclass.model.runtime import OpenVinoBody

TILE = 224
WAYS = ("torch fp32", "torch bf16", "openvino fp32", "openvino bf16")
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Spent = tuple[float, float]  # processor and wall seconds

# Runs in the interpreter with tiatoolbox: a round for each line it is sent.
_TIA = """
import runpy, sys, time, logging, numpy as np, torch, timm
import tiatoolbox
from tiatoolbox import logger
from tiatoolbox.models.engine.patch_predictor import PatchPredictor
from tiatoolbox.models.engine.io_config import IOPatchPredictorConfig
from tiatoolbox.models.models_abc import ModelABC
logger.setLevel(logging.ERROR)
backbone, weights, tiles, threads, memory = sys.argv[1:]
if memory:
    runpy.run_path(memory)["keep_freed_memory"]()
torch.set_num_threads(int(threads))
class Net(ModelABC):
    def __init__(self):
        super().__init__()
        self.network = timm.create_model(backbone, pretrained=False, num_classes=10).eval()
        self.network.load_state_dict(torch.load(weights, weights_only=True))
    def forward(self, batch):
        return torch.softmax(self.network(batch / 255), -1)
    @staticmethod
    def infer_batch(model, batch_data, device):
        batch = batch_data.to(device=device, dtype=torch.float32).permute(0, 3, 1, 2).contiguous()
        model.eval()
        with torch.inference_mode():
            return model(batch).cpu().numpy()
patches = np.repeat(np.load(tiles)[..., None], 3, axis=3)
predictor = PatchPredictor(model=Net(), batch_size=32, num_workers=0, device="cpu", verbose=False)
config = IOPatchPredictorConfig(
    patch_input_shape=patches.shape[1:3], input_resolutions=[{"units": "baseline", "resolution": 1.0}],
    stride_shape=patches.shape[1:3],
)
print(f"ready tiatoolbox {tiatoolbox.__version__}, torch {torch.__version__}, timm {timm.__version__}", flush=True)
for _ in sys.stdin:
    wall, cpu = time.perf_counter(), time.process_time()
    predictor.run(patches, patch_mode=True, ioconfig=config, output_type="dict", return_probabilities=True)
    print("spent", time.process_time() - cpu, time.perf_counter() - wall, flush=True)
"""
# What each of the other processes is given: the backbone's name, its weights, tiles, threads, memory.py or nothing.
_Given = tuple[str, str, str, str, str]


class Outside:
    """Another tool in a process of its own, asked round by round."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.version = " ".join(self._heard("ready"))

    def __call__(self) -> Spent:
        """One round; what it took there."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        cpu, wall = self._heard("spent")
        return float(cpu), float(wall)

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def _heard(self, word: str) -> list[str]:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        for line in self._process.stdout:
            first, *rest = line.split() or [""]
            if first == word:
                return rest
        raise SystemExit(f"ended: {self._process.args}; try it by hand")


def serve(tool: str, given: _Given) -> None:
    """Be one of the other tools: a round for each line of stdin."""
    backbone, weights, pixels, threads, memory = given
    if memory:
        keep_freed_memory()
    torch.set_num_threads(int(threads))
    network = build_network(backbone, 10)
    network.load_state_dict(torch.load(weights, weights_only=True))
    run = _LOOPS[tool](network, Tiles(np.vstack([np.hstack(row) for row in _square(np.load(pixels))])))
    print(f"ready torch {torch.__version__}", flush=True)
    for _ in sys.stdin:
        cpu, wall = timed(run)
        print("spent", cpu, wall, flush=True)


def _square(tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    side = round(len(tiles) ** 0.5)
    return tiles.reshape(side, side, TILE, TILE)


def others(
    folder: Path, backbone: str, network: nn.Module, tiles: NDArray[np.uint8], threads: int, tia: str | None
) -> dict[str, Outside]:
    """Start all of them, each without and with our memory settings; by label."""
    weights, pixels = folder / "weights.pt", folder / "tiles.npy"
    torch.save(network.state_dict(), weights)
    np.save(pixels, tiles)
    programs = {name: [sys.executable, "-W", "ignore", __file__, "--serve", name] for name in _LOOPS}
    if tia:
        programs["TIAToolbox PatchPredictor"] = [tia, "-W", "ignore", "-c", _TIA]
    return {
        f"{name}{said}": Outside([*program, backbone, str(weights), str(pixels), str(threads), given])
        for name, program in programs.items()
        for said, given in (("", ""), (", our memory settings", str(memory.__file__)))
    }


class Tiles(torch.utils.data.Dataset[Tensor]):
    """Tiles as WSInfer reads them: each a PIL crop of the slide, converted by itself."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._picture = Image.fromarray(pixels).convert("RGB")
        self._places = [(x, y) for y in range(0, pixels.shape[0], TILE) for x in range(0, pixels.shape[1], TILE)]
        number = v2.ToImage(), v2.ToDtype(torch.float32, scale=True)
        self._steps = v2.Compose([v2.Resize((TILE, TILE)), *number, v2.Normalize(_MEAN, _STD)])

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Tensor:
        x, y = self._places[index]
        return self._steps(self._picture.crop((x, y, x + TILE, y + TILE)))


def ours(model: Model, micrograph: Micrograph, way: str) -> Callable[[], NDArray[np.float32]]:
    """A whole classification, grey range and result included; gives the probabilities."""
    runtime, precision = way.split()
    batch = None if runtime == "openvino" else best_batch(model, way)
    settings = Settings(precision=precision, runtime=runtime, device="cpu", batch=batch)

    def run() -> NDArray[np.float32]:
        *_, last = classification_steps(micrograph, model, settings)
        return last.prediction.probabilities

    return run


def bare(model: Model, tiles: int, way: str, batch: int) -> Callable[[], object]:
    """The network alone, normalisations folded, on ready input."""
    runtime, precision = way.split()
    ready = torch.rand(batch, 1 if runtime == "openvino" else 3, TILE, TILE)
    network: Callable[[Tensor], Tensor]
    if runtime == "openvino":
        network = OpenVinoBody(folded(model), torch.device("cpu"), PRECISIONS[precision])
    else:
        network = folded(model).network.to(memory_format=torch.channels_last)
        ready = ready.contiguous(memory_format=torch.channels_last)

    def run() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            for done in range(0, tiles, batch):
                network(ready[: tiles - done])

    return run


def wsinfer_loop(network: nn.Module, tiles: Tiles) -> Callable[[], object]:
    """As WSInfer's `run_inference`."""
    loader = torch.utils.data.DataLoader(tiles, batch_size=32)

    def run() -> NDArray[np.float32]:
        with torch.no_grad():
            return np.concatenate([torch.softmax(network(batch), dim=1).numpy() for batch in loader])

    return run


def fastai_loop(network: nn.Module, tiles: Tiles) -> Callable[[], object]:
    """Fastai's `get_preds`."""
    import fastai.callback.progress  # noqa: F401 - gives Learner its no_bar
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader
    from fastai.learner import Learner
    from torch.nn import CrossEntropyLoss

    pairs = [(index, 0) for index in range(len(tiles))]
    loader = DataLoader(pairs, bs=64, num_workers=0, after_item=lambda pair: (tiles[pair[0]], torch.tensor(pair[1])))
    learner = Learner(DataLoaders(loader, loader, device=torch.device("cpu")), network, CrossEntropyLoss())

    def run() -> object:
        with learner.no_bar(), learner.no_logging():
            return learner.get_preds(dl=loader)

    return run


_LOOPS = {"WSInfer-style loop": wsinfer_loop, "fastai get_preds": fastai_loop}


def timed(run: Callable[[], object]) -> Spent:
    """Processor and wall seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.process_time() - cpu, time.perf_counter() - wall


def best_batch(model: Model, way: str) -> int:
    """The batch at which the bare forward pass costs least."""
    trials = {batch: bare(model, 16, way, batch) for batch in (4, 8, 16, 32)}
    return min(trials, key=lambda batch: min(timed(trials[batch])[0] for _ in range(3)))


def compared(spent: Sequence[dict[str, Spent]], one: str, other: str) -> dict[str, list[float]]:
    """How many times longer `other` takes than `one`: median, smallest and largest of the rounds."""
    found = {}
    for index, kind in enumerate(("processor", "wall")):
        ratios = [each[other][index] / each[one][index] for each in spent]
        found[kind] = [round(value, 3) for value in (statistics.median(ratios), min(ratios), max(ratios))]
    return found


def measure(name: str, side: int, rounds: int, threads: int, tia: str | None) -> dict[str, object]:
    """All of them with one network."""
    model = load_model("starter")
    if name != "starter":
        model = replace(model, network=build_network(name, 10), familiar=None, sha256=name)
    peer = build_network(model.card.backbone if name == "starter" else name, 10)
    peer.load_state_dict(model.network.state_dict())
    model = model.on(choose_device("cpu"))
    field = gaussian_filter(np.random.default_rng(0).normal(size=(side * TILE, side * TILE)), 2)
    pixels = (255 * (field - field.min()) / np.ptp(field)).astype(np.uint8)
    micrograph = Micrograph(pixels, source="noise", known_bars=())
    cut = pixels.reshape(side, TILE, side, TILE).swapaxes(1, 2).reshape(-1, TILE, TILE)
    answers = {way: ours(model, micrograph, way)().argmax(axis=1) for way in WAYS}
    contestants: dict[str, Callable[[], object]] = {}
    for way in WAYS:
        contestants[f"ours, {way}"] = ours(model, micrograph, way)
        contestants[f"bare forward, {way}"] = bare(model, len(cut), way, best_batch(model, way))
    spent = []
    with tempfile.TemporaryDirectory() as folder:
        outside = others(Path(folder), model.card.backbone if name == "starter" else name, peer, cut, threads, tia)
        for count in range(rounds + 1):  # the first one prepares memory and kernels
            each = {label: timed(run) for label, run in contestants.items()}
            each |= {label: run() for label, run in outside.items()}
            spent += [each] if count else []
            print(name, {label: round(cpu, 2) for label, (cpu, _) in each.items()}, file=sys.stderr, flush=True)
        for run in outside.values():
            run.close()
    agreement = {way: float((answer == answers[WAYS[0]]).mean()) for way, answer in answers.items()}
    found: dict[str, object] = {"tiles": len(cut), "agreement": agreement}
    found["ms_per_tile"] = {
        label: round(1e3 * statistics.median(each[label][0] for each in spent) / len(cut), 2) for label in spent[0]
    }
    for way in WAYS:
        labels = [*outside, f"bare forward, {way}"]
        found[way] = {label: compared(spent, f"ours, {way}", label) for label in labels}
    return found | {"others": {label: run.version for label, run in outside.items()}}


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--network", action="append", help="starter or a timm name (default: starter, resnet50)")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--side", type=int, default=6, help="tiles along a side of the micrograph")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--tia", metavar="PYTHON", help="an interpreter with tiatoolbox")
    arguments.add_argument("--keep", action="store_true")
    arguments.add_argument("--serve", nargs=6, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.serve:
        serve(options.serve[0], tuple(options.serve[1:]))
        return
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    for name in options.network or ["starter", "resnet50"]:
        report = {"network": name, "threads": options.threads, "rounds": options.rounds}
        report |= measure(name, options.side, options.rounds, options.threads, options.tia)
        if options.keep:
            keep(f"peers_{name}", report)
        else:
            print(report)


if __name__ == "__main__":
    main()
