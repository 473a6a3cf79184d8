"""Would another runtime compute a network faster than torch does here? ONNX Runtime and OpenVINO against torch.

    python benchmarks/runtimes.py [--network starter] [--network resnet50] [--rounds 7] [--threads 1]
    python benchmarks/runtimes.py --maps [--rounds 5]

The same network, weights and input in each, interleaved. Processor time is what counts, so that a busy machine shifts
the ratios little. With --maps, the starter's feature map of pictures of several sizes, as windows are averaged from it,
by torch and OpenVINO as the engine has them, with the memory settings of the command line. `onnxruntime` is in the
extra `export`; `openvino` is measured where it is installed.
"""

import argparse
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from napari_semclass import load_model
from napari_semclass.classify.forward import Forward
from napari_semclass.memory import keep_freed_memory
from napari_semclass.model import build_network
from napari_semclass.model.folding import folded

Runner = Callable[[], NDArray[np.float32]]

_PICTURES = ((224, 224), (704, 1024), (1152, 1152), (2304, 2304))  # a tile; a micrograph; parts of large ones


def runners(network: nn.Module, ready: torch.Tensor, threads: int, file: Path) -> dict[str, Runner]:
    """The network in each runtime, on the same input."""
    torch.onnx.export(network, (ready,), str(file), dynamo=False, opset_version=17)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name, pixels = session.get_inputs()[0].name, ready.numpy()
    network = network.to(memory_format=torch.channels_last)
    last = ready.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        frozen = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(network, last)))
    found: dict[str, Runner] = {
        "torch, channels_last": lambda: network(last).numpy(),
        "torch, frozen": lambda: frozen(last).numpy(),
        f"onnxruntime {onnxruntime.__version__}": lambda: session.run(None, {name: pixels})[0],
    }
    if importlib.util.find_spec("openvino"):
        import openvino

        compiled = openvino.Core().compile_model(str(file), "CPU", {"INFERENCE_NUM_THREADS": threads})
        found[f"openvino {openvino.__version__.partition('-')[0]}"] = lambda: next(iter(compiled(pixels).values()))
    return found


def measure(name: str, batch: int, rounds: int, threads: int) -> None:
    """Print speed and largest difference of each runtime."""
    network = load_model(name).network if name == "starter" else build_network(name, 10)
    ready = torch.rand(batch, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        found = runners(network.float().eval(), ready, threads, Path(folder) / "network.onnx")
        answers = [run() for run in found.values()]  # the first pass prepares memory and kernels
        spent: list[list[float]] = []
        for _ in range(rounds):
            spent.append([])
            for run in found.values():
                begun = time.process_time()
                run()
                spent[-1].append((time.process_time() - begun) / batch)
    for column, runtime in enumerate(found):
        ratios = [each[0] / each[column] for each in spent]
        print(
            f"{name}, {runtime}: {1e3 * statistics.median(each[column] for each in spent):.1f} ms per tile, "
            f"{statistics.median(ratios):.2f} times torch ({min(ratios):.2f} to {max(ratios):.2f}), "
            f"scores differ by at most {np.abs(answers[column] - answers[0]).max():.1e}",
            flush=True,
        )


def measure_maps(rounds: int) -> None:
    """Print how fast maps of pictures are made, in megapixels per second of processor time."""
    keep_freed_memory()
    starter = load_model("starter")
    model = folded(replace(starter, card=replace(starter.card, windows=True)))
    ways = {name: Forward.on(model, "cpu", precision="fp32") for name in ("torch", "openvino")}
    for name, forward in ways.items():
        forward.use(name, torch.float32)
    for shape in _PICTURES:
        grey = np.random.default_rng(0).random(shape, dtype=np.float32)
        maps = [forward.feature_map(grey) for forward in ways.values()]  # the first prepares memory and kernels
        spent: list[list[float]] = []
        for _ in range(rounds):
            spent.append([])
            for forward in ways.values():
                begun = time.process_time()
                forward.feature_map(grey)
                spent[-1].append(time.process_time() - begun)
        ratios = [one / other for one, other in spent]
        speeds = [grey.size / 1e6 / statistics.median(column) for column in zip(*spent, strict=True)]
        print(
            f"{shape[0]} x {shape[1]} px: torch {speeds[0]:.1f}, OpenVINO {speeds[1]:.1f} megapixels/s, "
            f"{statistics.median(ratios):.2f} times torch ({min(ratios):.2f} to {max(ratios):.2f}); cells differ by at "
            f"most {np.abs(maps[0] - maps[1]).max() / maps[0].std():.1e} standard deviations",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--network", action="append", help="starter or a timm name (default: starter, resnet50)")
    arguments.add_argument("--batch", type=int, default=8)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--maps", action="store_true", help="feature maps of pictures instead")
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    if options.maps:
        measure_maps(options.rounds)
        return
    print(f"torch {torch.__version__}, batch {options.batch}, {options.threads} threads")
    for name in options.network or ["starter", "resnet50"]:
        measure(name, options.batch, options.rounds, options.threads)


if __name__ == "__main__":
    main()
