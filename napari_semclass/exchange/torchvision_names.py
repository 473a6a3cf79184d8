"""torchvision's networks under timm's names: tensors renamed and reshaped, and answers compared with torchvision's."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn

from napari_semclass.errors import ModelError, brief
from napari_semclass.exchange.agreement import generated_tiles

LIMIT = 1e-4
"""Largest difference from torchvision's logits that is let pass; a share of the largest logit where that is above 1."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""What torchvision standardises pictures with, for all of its networks."""

_EQUAL = {
    **{f"convnext_{size}": f"convnext_{size}" for size in ("tiny", "small", "base", "large")},
    **{f"densenet{depth}": f"densenet{depth}" for depth in (121, 161, 169, 201)},
    **{f"efficientnet_b{scale}": f"efficientnet_b{scale}" for scale in range(8)},
    **{f"efficientnet_v2_{size}": f"efficientnetv2_{size}" for size in "sml"},
    **{f"mnasnet{a}_{b}": f"mnasnet_{a}{b:0<2}" for a, b in ((0, "5"), (0, "75"), (1, "0"))},
    "mobilenet_v2": "mobilenetv2_100",
    **{f"mobilenet_v3_{size}": f"mobilenetv3_{size}_100" for size in ("small", "large")},
    **{
        f"regnet_{kind}_{flops}": f"regnet{kind}_{ours}"
        for kind in "xy"
        for flops, ours in (("1_6gf", "016"), ("3_2gf", "032"), ("16gf", "160"), ("32gf", "320"))
    },
    # Of these, timm's networks of the same size are others; it has torchvision's beside them.
    **{"regnet_x_400mf": "regnetx_004_tv", "regnet_y_800mf": "regnety_008_tv", "regnet_y_8gf": "regnety_080_tv"},
    **{"regnet_x_800mf": "regnetx_008", "regnet_x_8gf": "regnetx_080"},
    **{"regnet_y_400mf": "regnety_004", "regnet_y_128gf": "regnety_1280"},
    **{f"resnet{depth}": f"resnet{depth}" for depth in (18, 34, 50, 101, 152)},
    **{name: name for name in ("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d")},
    **{f"swin_{size[0]}": f"swin_{size}_patch4_window7_224" for size in ("tiny", "small", "base")},
    **{f"swin_v2_{size[0]}": f"swinv2_{size}_window8_256" for size in ("tiny", "small", "base")},
    **{f"vgg{depth}{norm}": f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")},
    **{
        f"vit_{s[0]}_{p}": f"vit_{s}_patch{p}_224"
        for s, p in (("base", 16), ("base", 32), ("large", 16), ("large", 32))
    },
    "vit_h_14": "vit_huge_patch14_224",
    **{name: name for name in ("wide_resnet50_2", "wide_resnet101_2")},
}
_LARGER_VIT = 384  # pixels; torchvision has these under the same names, timm has not
_NOT_LEARNED = ("num_batches_tracked", "relative_position_index", "relative_coords_table")
_POSITIONS = "encoder.pos_embedding"
# Tensors of one role follow each other in the same order in both programs; tensors of different roles may not.
_ROLES = {
    "vit": ("token", "pos_embed"),
    "regnet": ("proj.", "downsample."),  # the shortcuts, in torchvision and in timm
    "swin": ("norm1", "norm2", "logit_scale", "q_bias", "v_bias", "cpb_mlp", "mlp", "attn.proj", "reduction"),
}


@dataclass(frozen=True, eq=False)
class Original:
    """Weights of one of torchvision's networks.

    Attributes
    ----------
    name, backbone
        torchvision's name of the network, and timm's.
    renamed
        False where timm's names of all tensors are the same, so that it may as well be timm's.
    size
        Side of the pictures in pixels that torchvision's own weights were made for.
    """

    name: str
    backbone: str
    renamed: bool
    size: int
    _tensors: Mapping[str, Tensor]

    def translated(self, skeleton: nn.Module) -> dict[str, Tensor]:
        """The tensors under timm's names; in timm's layout where they have the right number of values."""
        own = _skeleton(self.name, self.size)
        wanted = skeleton.state_dict()
        tensors = dict(_learned(self.name, self._tensors))
        found: dict[str, Tensor] = {}
        for theirs, ours in _pairs(self.name, own, skeleton):
            value, shape = tensors[theirs], wanted[ours].shape
            if value.shape != shape and value.numel() == shape.numel():
                value = value.reshape(shape)
            if theirs.endswith(".running_var"):
                # Only the sum of variance and epsilon is used, so that another epsilon is another variance.
                value = value.double() + _epsilon(own, theirs) - _epsilon(skeleton, ours)
            found[ours] = value
        return found

    def difference(self, network: nn.Module, size: int, mean: float, std: float) -> float:
        """Largest difference of timm's logits from torchvision's with the same weights, on generated pictures.

        It is a share of the largest logit where that is above 1, as float32 has so many digits and no more.

        Raises
        ------
        ModelError
            When a network cannot compute pictures of that size, or the difference is above `LIMIT`.
        """
        try:
            original = _network(self.name, self.size, _outputs(self._tensors))
            state = original.state_dict()  # with the versions of its layers, which files of tensors alone do not have
            state.update({name: value for name, value in self._tensors.items() if name in state})
            original.load_state_dict(state)
            # torchvision's vision transformers take pictures of one size only, whatever timm can make of the weights.
            size = self.size if self.name.startswith("vit_") else size
            batch = ((torch.from_numpy(generated_tiles(size)[::3]) - mean) / std).expand(-1, 3, -1, -1)
            with torch.inference_mode():
                expected, answer = original.eval()(batch), network.eval()(batch)
        except (AssertionError, RuntimeError, ValueError) as error:
            raise ModelError(
                f"torchvision's {self.name} and timm's {self.backbone} cannot be compared on pictures of {size} px "
                f"({brief(error)}); give another --input-size, such as {self.size}."
            ) from error
        difference = float((answer - expected).abs().max() / expected.abs().max().clamp(min=1))
        if not difference <= LIMIT:
            raise ModelError(
                f"timm's {self.backbone} does not answer as torchvision's {self.name} does with these weights at "
                f"{size} px (logits differ by {difference:.2g}, and {LIMIT:g} is let pass); nothing is imported."
            )
        return difference


def original_of(backbone: str, tensors: Mapping[str, Tensor]) -> Original | None:
    """Recognise weights as torchvision's by the names of their tensors; None where they are not.

    Parameters
    ----------
    backbone : str
        torchvision's name of the network, or timm's.
    tensors : mapping
        As read.
    """
    import timm

    plain = backbone.partition(".")[0]
    name = next((theirs for theirs, ours in _EQUAL.items() if plain in (theirs, ours, _larger(ours))), None)
    if name is None:
        return None
    size = _size(name, tensors.get(_POSITIONS))
    wanted = _skeleton(name, size).state_dict()
    found = _with_usual_head(tensors, wanted)
    names = {key for key, _ in _learned(name, found)}
    if names != {key for key, _ in _learned(name, wanted)}:
        return None
    _three_channels(found, wanted)
    ours = _larger(_EQUAL[name]) if size == _LARGER_VIT and name.startswith("vit_") else _EQUAL[name]
    with torch.device("meta"):
        renamed = names != {key for key, _ in _learned("", timm.create_model(ours).state_dict())}
    return Original(name, backbone if plain == ours else ours, renamed, size, found)


def timm_name(backbone: str) -> str:
    """Give timm's name of a network that has another in torchvision; other names stay as they are.

    Raises
    ------
    ModelError
        When only torchvision has the network.
    """
    import timm
    from torchvision import models

    if backbone in _EQUAL:
        return _EQUAL[backbone]
    if backbone in models.list_models(module=models) and not timm.is_model(backbone):
        raise ModelError(
            f"--backbone {backbone}: timm has no network that computes what torchvision's {backbone} does, so it "
            "cannot be imported; export it to ONNX where you trained it, or train one of timm's networks."
        )
    return backbone


def _larger(backbone: str) -> str:
    return backbone.replace("_224", f"_{_LARGER_VIT}") if backbone.startswith("vit_") else backbone


def _size(name: str, positions: Tensor | None) -> int:
    """Side of the pictures that torchvision's weights were made for, or that a vision transformer has positions for."""
    from torchvision import models

    weights: Any = models.get_model_weights(name)
    usual = int(next(iter(weights)).transforms.keywords["crop_size"])
    if not name.startswith("vit_") or positions is None or positions.ndim != 3:
        return usual
    patch = int(name.rpartition("_")[2])
    side = isqrt(max(0, positions.shape[1] - 1)) * patch
    return side if side == _LARGER_VIT and _LARGER_VIT % patch == 0 else usual


def _network(name: str, size: int, categories: int) -> nn.Module:
    from torchvision import models

    more: dict[str, Any] = {"image_size": size} if name.startswith("vit_") else {}
    network: nn.Module = models.get_model(name, weights=None, num_classes=categories, **more)
    return network.eval()


def _skeleton(name: str, size: int) -> nn.Module:
    # torchvision computes the widths of a RegNet with tensors, which have no values there.
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        return _network(name, size, 2)


def _outputs(tensors: Mapping[str, Tensor]) -> int:
    """Number of outputs: the length of the last bias, which is the classifier's in all of these networks."""
    return int(list(tensors.values())[-1].shape[0])


def _learned(name: str, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Tensors that timm has, too, with biases of queries and values apart where only these are used."""
    for key, value in tensors.items():
        if key.endswith(_NOT_LEARNED):
            continue
        if name.startswith("swin_v2_") and key.endswith("attn.qkv.bias") and value.ndim == 1:
            parent, third = key.removesuffix("qkv.bias"), len(value) // 3
            yield f"{parent}q_bias", value[:third]
            yield f"{parent}v_bias", value[2 * third :]
        else:
            yield key, value


def _pairs(name: str, own: nn.Module, other: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of torchvision and of timm for the same tensors."""
    roles = next((roles for family, roles in _ROLES.items() if name.startswith(family)), ())
    theirs = sorted((key for key, _ in _learned(name, own.state_dict())), key=_role(roles))
    ours = sorted((key for key, _ in _learned("", other.state_dict())), key=_role(roles))
    return zip(theirs, ours, strict=True)


def _role(roles: Sequence[str]) -> Callable[[str], int]:
    return lambda name: next((i for i, role in enumerate(roles) if role in name), len(roles))


def _epsilon(network: nn.Module, name: str) -> float:
    layer: Any = network.get_submodule(name.rpartition(".")[0])
    return float(layer.eps)


def _with_usual_head(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in torchvision's order, with its name of a classifier that stands alone elsewhere in the head.

    Those who put their own linear layer in the place of the head, or a dropout before it, change its name.
    """
    weight, bias = list(wanted)[-2:]
    root = weight.partition(".")[0]
    left_over = [name for name in tensors if name not in wanted and name.partition(".")[0] == root]
    found = dict(tensors)
    if (
        weight not in found
        and len(left_over) == 2
        and left_over[0].rpartition(".")[0] == left_over[1].rpartition(".")[0]
    ):
        parent = left_over[0].rpartition(".")[0]
        if {f"{parent}.weight", f"{parent}.bias"} == set(left_over):
            found[weight], found[bias] = found.pop(f"{parent}.weight"), found.pop(f"{parent}.bias")
    ordered = {name: found.pop(name) for name in wanted if name in found}
    return ordered | found


def _three_channels(tensors: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Spread a first layer for one channel over three equal channels, which is the same sum."""
    first = next((name for name, value in wanted.items() if value.ndim == 4), "")
    value = tensors.get(first)
    if value is not None and value.ndim == 4 and value.shape[1] == 1 and wanted[first].shape[1] == 3:
        tensors[first] = value.float().expand(-1, 3, -1, -1) / 3
