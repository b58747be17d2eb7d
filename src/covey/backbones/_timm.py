"""Backbones that the library timm builds (extra ``timm``); it needs torchvision.

This loader is tested with a stand-in for the library: where covey was built, timm cannot be imported.
"""

from pathlib import Path

from covey.backbones._model_files import check_weights, find_model, hash_model, weight_files
from covey.backbones._network_backbone import NetworkBackbone
from covey.backbones._runtimes import build_network, resolve_runtime
from covey.backbones._weights import LOADING_ERRORS, explain_loading, read_tensors
from covey.errors import ModelError
from covey.registry import require
from covey.types import BackboneSpec


def load_timm(
    spec: BackboneSpec, *, device: str, weights: Path | None, precision: str, runtime: str
) -> NetworkBackbone:
    """Build the network without its classifier and read weights of timm's layout; see `load_backbone`."""
    timm = require("timm", extra="timm", for_=f"backbone {spec.name!r}")
    chosen = resolve_runtime(spec, device=device, precision=precision, runtime=runtime)
    path = weights or find_model(spec)
    files = weight_files(path)
    check_weights(files)
    module = timm.create_model(spec.architecture, pretrained=False, num_classes=0)
    state = {name: tensor for file in files for name, tensor in read_tensors(file, spec.name).items()}
    try:
        report = module.load_state_dict(state, strict=False)
    except LOADING_ERRORS as error:
        raise ModelError(f"The weights are not those of {spec.name}: {explain_loading(error)}") from error
    if report.missing_keys:
        names = ", ".join(report.missing_keys[:3])
        raise ModelError(f"The weights are not those of {spec.name}: {len(report.missing_keys)} are missing ({names}).")
    return NetworkBackbone(
        spec,
        build_network(module, spec, chosen),
        chosen=chosen,
        sha256=hash_model(path),
        source=(spec.name, str(chosen.device), weights),
    )
