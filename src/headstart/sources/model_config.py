"""The config.json of a model of transformers, read so that it can describe a net and nothing else."""

import re
from typing import Any, cast

from headstart.core.errors import UserError, unknown_name
from headstart.core.extras import require
from headstart.sources import json_file
from headstart.sources.formats.checks import said, shown

STEERING = re.compile(r"_?(attn|experts)_implementation|transformers_weights")  # code to fetch, other files to read


def model_config(text: str, extra: str) -> Any:
    """The config that a config.json describes.

    Args:
        text: of the file.
        extra: that brings transformers.

    Raises:
        UserError: remote code, quantised weights, or an unknown model.
    """
    transformers = require("transformers", extra)
    settings = json_file.parse(text, "config.json")
    kind = settings.get("model_type")
    if "auto_map" in settings:
        do = "No code of a model is ever run: choose one whose architecture transformers itself has."
        raise UserError("a model without code of its own", "a config.json with auto_map, which asks for it", do)
    if "quantization_config" in settings:
        raise UserError("float weights", "a config.json with quantization_config", "Choose the unquantised model.")
    if not isinstance(kind, str) or kind not in transformers.CONFIG_MAPPING:
        raise unknown_name("model_type of transformers", shown(kind), transformers.CONFIG_MAPPING.keys())
    if kind.startswith("timm"):
        raise UserError("a model of transformers", f"the model_type {kind}", "It is a net of timm: use timm:NAME.")
    try:
        return transformers.CONFIG_MAPPING[kind].from_dict(_unsteered(settings))
    except Exception as error:  # noqa: BLE001 - foreign text: each model's config has its own ways to say no
        raise UserError(f"a config.json of {kind}", said(error), "Download the file again.") from None


def _unsteered(settings: dict[str, Any]) -> dict[str, Any]:
    """What describes the model: not which kernels are downloaded and run for it, not where else its weights lie."""
    return {
        key: _unsteered(cast("dict[str, Any]", value)) if isinstance(value, dict) else value
        for key, value in settings.items()
        if not STEERING.fullmatch(key)
    }


def takes(config: Any) -> str:
    """The main input of a model: "pixel_values", "input_ids", another; "" where transformers does not say."""
    model = require("transformers", "hub").MODEL_MAPPING.get(type(config), None)
    return str(getattr(model, "main_input_name", ""))
