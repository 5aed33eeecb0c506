"""Paper 000: a Swin encoder, pyramid pooling, two U-Net decoders that see each other, a class head on their masks.

The text says two blocks per stage and windows of 7. Only depths 2-2-6-2 meet its six parameter counts; the window is
not decided by them: 8 meets all six (44,089,967 in all), and so does 7 with a final normalisation and biases in the
convolutions of the cross-attention (44,086,655). Built by default: 8, which divides all sides and is in the authors'
public code. The other is `model: {window: 7, final_norm: true, biases: true}`; its sides are padded.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covidqu.config.models import SwinDual, Task
from covidqu.systems.base import System

DEPTHS, HEADS = (2, 2, 6, 2), (3, 6, 12, 24)
BINS = (1, 2, 3, 6)
CLASSES = 3
APART = -100.0  # added to the attention between tokens that must not see each other; exp(-100) is 0 in float32


class WindowAttention(nn.Module):
    """Attention inside windows of `window` x `window` tokens with a relative position bias; (B, H, W, C) -> same."""

    def __init__(self, channels: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias, std=0.02)
        grid = torch.stack(torch.meshgrid(*[torch.arange(window)] * 2, indexing="ij")).flatten(1)
        apart = grid[:, :, None] - grid[:, None] + window - 1
        self.register_buffer("pair", apart[0] * (2 * window - 1) + apart[1], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        padding = (-width % self.window, -height % self.window)
        x = F.pad(x, (0, 0, 0, padding[0], 0, padding[1])).roll((-self.shift, -self.shift), (1, 2))
        windows = self.split(x)  # B, windows, tokens, C
        batch, number, tokens, channels = windows.shape
        query, key, value = self.qkv(windows).view(batch, number, tokens, 3, self.heads, -1).permute(3, 0, 1, 4, 2, 5)
        bias = self.bias[self.pair.flatten()].view(tokens, tokens, self.heads).permute(2, 0, 1)
        bias = bias[None]
        if self.shift or any(padding):
            bias = bias + self.apart(height, width, x.shape[1:3], x.device)[:, None]
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        mixed = self.out(mixed.transpose(2, 3).reshape(batch, number, tokens, channels))
        joined = self.join(mixed, *x.shape[1:3]).roll((self.shift, self.shift), (1, 2))
        return joined[:, :height, :width]

    def split(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, windows, tokens, C)."""
        batch, height, width, channels = x.shape
        side = self.window
        x = x.view(batch, height // side, side, width // side, side, channels).transpose(2, 3)
        return x.reshape(batch, -1, side * side, channels)

    def join(self, x: Tensor, height: int, width: int) -> Tensor:
        """The reverse of `split`."""
        side = self.window
        x = x.view(len(x), height // side, width // side, side, side, -1).transpose(2, 3)
        return x.reshape(len(x), height, width, -1)

    def apart(self, height: int, width: int, padded: torch.Size, device: torch.device) -> Tensor:
        """(windows, tokens, tokens): `APART` between tokens that only the shift or the padding brought together."""
        region = torch.zeros(1, *padded, 1, device=device)
        region[:, height:] = region[:, :, width:] = 9
        region = region.roll((-self.shift, -self.shift), (1, 2))
        if self.shift:
            region[:, -self.shift :] += 1
            region[:, :, -self.shift :] += 2
        tokens = self.split(region)[0, :, :, 0]
        return (tokens[:, :, None] != tokens[:, None]) * APART


class Block(nn.Module):
    """Pre-norm window attention and a two-layer perceptron, each with a residual; (B, H, W, C) -> same."""

    def __init__(self, channels: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, heads, window, shift)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Merge(nn.Module):
    """Four neighbours to one token of twice the channels; (B, H, W, C) -> (B, H/2, W/2, 2C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(4 * channels), nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.norm(torch.cat([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], -1)))


class Encoder(nn.Module):
    """(B, 1, H, W) -> four maps (B, C, H/4, W/4) ... (B, 8C, H/32, W/32); `final_norm` normalises the last one."""

    def __init__(self, width: int, window: int, final_norm: bool) -> None:
        super().__init__()
        self.final = nn.LayerNorm(8 * width) if final_norm else nn.Identity()
        self.embed, self.norm = nn.Conv2d(1, width, 4, stride=4), nn.LayerNorm(width)
        self.merges = nn.ModuleList(Merge(width * 2**stage) for stage in range(3))
        self.stages = nn.ModuleList(
            nn.Sequential(*[Block(width * 2**stage, heads, window, window // 2 * (i % 2)) for i in range(depth)])
            for stage, (depth, heads) in enumerate(zip(DEPTHS, HEADS, strict=True))
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.norm(self.embed(image).permute(0, 2, 3, 1))
        maps = []
        for stage, blocks in enumerate(self.stages):
            x = blocks(self.merges[stage - 1](x) if stage else x)
            maps.append((self.final(x) if stage == len(DEPTHS) - 1 else x).permute(0, 3, 1, 2))
        return maps


def conv(inner: int, outer: int, kernel: int, groups: int = 1, relu: bool = True, bias: bool = False) -> nn.Sequential:
    """Convolution, batch normalisation and, with `relu`, ReLU."""
    layers = [nn.Conv2d(inner, outer, kernel, padding=kernel // 2, groups=groups, bias=bias), nn.BatchNorm2d(outer)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


def grow(x: Tensor, like: tuple[int, int]) -> Tensor:
    """Bilinear to the given height and width."""
    return F.interpolate(x, like, mode="bilinear", align_corners=False)


class PyramidPooling(nn.Module):
    """Context of 1, 2, 3 and 6 bins a side beside the map itself; (B, C, H, W) -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bins = nn.ModuleList(conv(channels, channels // 4, 1) for _ in BINS)
        self.join = conv(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        found = [grow(c(F.adaptive_avg_pool2d(x, b)), x.shape[-2:]) for b, c in zip(BINS, self.bins, strict=True)]
        return self.join(torch.cat([x, *found], 1))


class CrossAttention(nn.Module):
    """Adds to a branch what a channel gate lets through of the other one; (B, C, H, W) twice -> (B, C, H, W).

    The gate sees the mean of both branches. The paper's 8, 4, 2, 1 heads change no parameter count and no formula.
    """

    def __init__(self, channels: int, biases: bool) -> None:
        super().__init__()
        hidden = max(channels // 4, 16)
        self.gate = nn.Sequential(nn.Linear(2 * channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid())
        self.refine = nn.Sequential(
            conv(channels, channels, 3, groups=channels, bias=biases),
            conv(channels, channels, 1, relu=False, bias=biases),
        )

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        gate = self.gate(torch.cat([own, other], 1).mean((2, 3)))
        return own + self.refine(other * gate[:, :, None, None])


class Branch(nn.Module):
    """One decoder with its attention to the other branch and its mask head."""

    def __init__(self, width: int, biases: bool) -> None:
        super().__init__()
        sizes = [(12 * width, 4 * width), (6 * width, 2 * width), (3 * width, width), (width, width // 2)]
        self.up = nn.ModuleList(nn.Sequential(conv(i, o, 3), conv(o, o, 3)) for i, o in sizes)
        self.look = nn.ModuleList(CrossAttention(o, biases) for _, o in sizes)
        self.head = nn.Sequential(conv(width // 2, width // 4, 3), nn.Conv2d(width // 4, 1, 1))


class ClassHead(nn.Module):
    """Classes from soft masks alone: (B, 1 or 2, H, W) probabilities -> (B, 3) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.by_masks = nn.ModuleList(conv(masks, 64, 3) for masks in (1, 2))
        self.linear = nn.Linear(64, CLASSES)

    def forward(self, masks: Tensor) -> Tensor:
        return self.linear(self.by_masks[masks.shape[1] - 1](masks).mean((2, 3)))


class SwinDualNet(System):
    """Lung and infection masks, classes; without the task `infection` (phase 1) the classes come from lungs only."""

    channels = 1

    def __init__(self, config: SwinDual, tasks: tuple[Task, ...]) -> None:
        super().__init__(tasks)
        self.swin = Encoder(config.width, config.window, config.final_norm)
        self.pool = PyramidPooling(8 * config.width)
        self.lung, self.infection = Branch(config.width, config.biases), Branch(config.width, config.biases)
        self.classify = ClassHead()
        idle = 0 if "infection" in tasks else 1  # the convolution for the other number of masks
        self.classify.by_masks[idle].requires_grad_(False)
        self.apply(initialise)
        nn.init.kaiming_normal_(self.swin.embed.weight, mode="fan_out")

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        *skips, deepest = self.swin(image)
        lung = infection = self.pool(deepest)
        for step in range(4):
            lung, infection = (
                branch.up[step](self.widen(x, skips[2 - step] if step < 3 else None))
                for branch, x in ((self.lung, lung), (self.infection, infection))
            )
            lung, infection = self.lung.look[step](lung, infection), self.infection.look[step](infection, lung)
        found = {
            "lung": grow(self.lung.head(lung), image.shape[-2:]),
            "infection": grow(self.infection.head(infection), image.shape[-2:]),
        }
        if "class" in self.tasks:
            seen = [found[task].sigmoid() for task in ("lung", "infection") if task in self.tasks]
            found["class"] = self.classify(torch.cat(seen, 1))
        return {task: found[task] for task in self.tasks}

    def parts(self) -> dict[str, list[nn.Module]]:
        return {
            "encoder": [self.swin],
            "pyramid pooling": [self.pool],
            "dual decoders": [m for branch in (self.lung, self.infection) for m in (branch.up, branch.look)],
            "lung head": [self.lung.head],
            "infection head": [self.infection.head],
            "classification head": [self.classify],
        }

    def blocks(self) -> dict[str, list[nn.Module]]:
        swin = self.swin
        found: dict[str, list[nn.Module]] = {"patch embedding": [swin.embed, swin.norm]}
        for stage, blocks in enumerate(swin.stages):
            found |= {f"merge {stage}": [swin.merges[stage - 1]]} if stage else {}
            last = [swin.final] if stage == len(DEPTHS) - 1 and isinstance(swin.final, nn.LayerNorm) else []
            found[f"stage {stage + 1}"] = [blocks, *last]
        found["pyramid pooling"] = [self.pool]
        for step in range(len(self.lung.up)):
            for name, branch in (("lung", self.lung), ("infection", self.infection)):
                found[f"{name} decoder {step + 1}"] = [branch.up[step]]
                found[f"{name} attention {step + 1}"] = [branch.look[step]]
        heads = {"lung head": self.lung.head, "infection head": self.infection.head}
        return found | {name: [head] for name, head in heads.items()} | {"classification head": [self.classify]}

    def cam_layer(self) -> nn.Module:
        return self.pool

    def classify_masks(self, masks: Tensor) -> Tensor:
        return self.classify(masks)

    @staticmethod
    def widen(x: Tensor, skip: Tensor | None) -> Tensor:
        """Twice the height and width, then the encoder's map of that size if there is one."""
        x = grow(x, (2 * x.shape[-2], 2 * x.shape[-1]))
        return x if skip is None else torch.cat([x, skip], 1)


def initialise(module: nn.Module) -> None:
    """Linear layers: truncated normal of 0.02, bias 0."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def create(config: SwinDual, tasks: tuple[Task, ...], px: int) -> SwinDualNet:
    return SwinDualNet(config, tasks)
