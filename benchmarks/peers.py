"""Reading one X-ray beside what other programs compute for one picture, those that can be installed.

    uv run --with torchxrayvision --with lungmask --with dynamic-network-architectures \
        python benchmarks/run.py --only peers --out peers

Their networks have random weights: speed does not depend on them. Each at the size of picture that it takes, by its own
code; reading files and what follows the network are left out on both sides. They answer other questions than ours does,
so a ratio says what a reading costs, not which is better.
"""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from measuring import Line, in_turns
from torch import nn

from covidqu.data.index import open_packed
from covidqu.reading.model import Graphs
from reading import networks

IMAGES = 8


def measure(place) -> list[Line]:
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    images = np.asarray(open_packed(place.packed).images[:IMAGES])
    with tempfile.TemporaryDirectory() as folder:
        ours = Graphs([networks(Path(folder))[1]["float16"]], threads)
        others = {"TorchXRayVision, structures of the chest, 512 px": structures(), "lungmask, R231, 256 px": lungs()}
        others |= {"TorchXRayVision, DenseNet, 224 px: findings, no mask": findings()}
        others |= {"nnU-Net, 2D, 256 px, mirrored as by default": nnunet()}
        lines = []
        for name, other in others.items():
            theirs, mine = in_turns(IMAGES, other, partial(ours, images), repeats=3)
            lines.append(Line(f"X-ray read at 256 px, {threads} cores", name, theirs, mine, theirs / mine))
    return lines


def of_side(
    network: nn.Module, px: int, channels: int, mirrors: tuple[tuple[int, ...], ...] = ((),)
) -> Callable[[], object]:
    """The network on all pictures at its size; what they show does not change its speed."""
    pictures = torch.rand(IMAGES, channels, px, px)
    network.eval()

    def all_pictures() -> None:
        with torch.inference_mode():
            for axes in mirrors:
                network(pictures.flip(axes))

    return all_pictures


def structures() -> Callable[[], object]:
    from torchxrayvision.baseline_models.chestx_det.ptsemseg.pspnet import pspnet

    return of_side(pspnet(14), 512, 3)


def findings() -> Callable[[], object]:
    from torchxrayvision.models import DenseNet

    return of_side(DenseNet(weights=None, num_classes=18), 224, 1)


def lungs() -> Callable[[], object]:
    from lungmask.resunet import UNet

    return of_side(UNet(n_classes=3, padding=True, depth=5, up_mode="upsample", batch_norm=True), 256, 1)


def nnunet() -> Callable[[], object]:
    """The network that nnU-Net plans for pictures of 256 x 256 pixels, on four mirror images, its default."""
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    widths = [32, 64, 128, 256, 512, 512, 512]
    strides, twice = [1] + [2] * (len(widths) - 1), [2] * len(widths)
    network = PlainConvUNet(
        1, len(widths), widths, nn.Conv2d, 3, strides, twice, 2, twice[1:],
        conv_bias=True, norm_op=nn.InstanceNorm2d, norm_op_kwargs={"affine": True}, nonlin=nn.LeakyReLU,
    )  # fmt: skip
    return of_side(network, 256, 1, mirrors=((), (2,), (3,), (2, 3)))
