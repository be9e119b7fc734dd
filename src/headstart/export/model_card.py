"""The model card: data, source, licences, plan, scores with intervals and limits, in the hub's own format."""

from headstart.core.record import Record

NEEDS = {"image": "numpy pillow", "text": "numpy tokenizers", "series": "numpy"}
RUNTIMES = {"onnx": "onnxruntime", "torch": "torch", "openvino": "openvino"}
OPENED = {
    "onnx": "python predict.py EXAMPLE...",
    "torch": "python -c 'import torch; net = torch.export.load(\"model.pt2\").module()'  # prepare.py says of what",
    "openvino": "python -c 'import openvino; net = openvino.compile_model(\"model.xml\")'  # prepare.py says of what",
}


def use(written: str, data: str) -> tuple[str, str]:
    """The two commands that use a folder: what to install for a format and a kind of data, and how it is opened."""
    return f"pip install {RUNTIMES[written]} {NEEDS[data]}", OPENED[written]


def model_card(record: Record, data: str, commands: tuple[str, str]) -> str:
    """README.md of an exported folder.

    Args:
        record: of the run.
        data: its kind.
        commands: that use the folder; see `use`.
    """
    task, score = record.tasks[0], record.score
    licences = sorted({one.licence or "not stated" for one in record.sources if one.trained_on})
    front = [
        "---", "library_name: headstart", f"license: {_hub_licence(licences)}",
        f"tags: [transfer-learning, {data}, {task.kind}]", "---",
    ]  # fmt: skip
    classes = f": {', '.join(task.classes)}" if task.classes else ""
    lines = [
        f"# {record.strategy} on {data} data", "",
        record.verdict.sentence, "",
        f"- **Task**: {task.kind} of `{task.name}`{classes}",
        f"- **{record.metric.replace('_', ' ').capitalize()}**: {score.value:.3f} "
        f"[{score.low:.3f}, {score.high:.3f}], a {score.level:.0%} interval on {score.n} examples ({score.on})",
        f"- **Delivered**: {record.decision.delivered} ({record.decision.role}); {record.decision.rule}",
        f"- **Learned from**: {record.data.n_train} examples, fingerprint `{record.data.fingerprint[:16]}`",
        "", "## Sources and licences", "",
        *(_source(one.name, one.licence, one.trained_on, one.sha256) for one in record.sources),
        "", "## Use", "", "```sh", *commands, "```",
        "", "## Limits", "",
        "- The interval speaks of data like those that it was measured on; it does not see a shift to other data.",
        *(f"- {note}" for note in (*record.data.warnings, *record.notes)),
        "", "No example of the training data is in this folder.", "",
    ]  # fmt: skip
    return "\n".join([*front, *lines])


def _source(name: str, licence: str | None, trained_on: str | None, sha256: str | None) -> str:
    learned = f"trained on {trained_on}, licence {licence or 'not stated'}" if trained_on else "learned nothing before"
    return f"- `{name}`: {learned}" + (f", sha256 `{sha256}`" if sha256 else "")


def _hub_licence(licences: list[str]) -> str:
    """What the hub's field takes; the chain of several stands in the text."""
    return licences[0].lower() if len(licences) == 1 and licences[0] != "not stated" else "other"
