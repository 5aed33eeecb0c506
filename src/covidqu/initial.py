"""Weights that are not the outcome of a run: a name in, a safetensors file out.

`random` is a file without tensors: the run draws them from its seed. `imagenet-ENCODER` is an encoder of
segmentation-models-pytorch with its ImageNet weights from the hub, fetched once and from then on an artefact like any
other: training needs no network, and the bytes are versioned.
"""

from pathlib import Path

from covidqu.files import replacing

PREFIX = "imagenet-"


def initial(name: str, out: Path) -> None:
    """Write initial weights; ValueError for an unknown name or an unreachable hub (nothing is written)."""
    from safetensors.torch import save_file

    if name == "random":
        tensors, scope = {}, "none"
    elif name.startswith(PREFIX):
        tensors, scope = hub_encoder(name.removeprefix(PREFIX)), "encoder"
    else:
        raise ValueError(
            f"initial: '{name}' is not known; valid: random, {PREFIX}ENCODER (as imagenet-efficientnet-b3)"
        )
    with replacing(out) as part:
        save_file(tensors, part, metadata={"scope": scope, "name": name})


def hub_encoder(encoder: str) -> dict:
    """Tensors of an ImageNet encoder, by the library's own download code; name -> tensor."""
    from segmentation_models_pytorch.encoders import encoders, get_encoder

    if encoder not in encoders:
        raise ValueError(f"initial: '{PREFIX}{encoder}': segmentation-models-pytorch has no encoder '{encoder}'")
    try:
        return get_encoder(encoder, weights="imagenet").state_dict()
    except Exception as error:  # the hub client raises many kinds: no network, refused, not found, damaged
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"initial: the ImageNet weights of '{encoder}' could not be fetched from the hub ({reason}); "
            "go online, or put them into the hub cache (HF_HOME), or train without them: "
            "set `init: random` for the run and leave the name out of `initial`; its tables then say NOT PRETRAINED"
        ) from None
