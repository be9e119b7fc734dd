"""What a run has learned, the next can start from: delivered nets, closed forms and checkpoints as sources."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import headstart as hs
from headstart import runs
from headstart.advisor import work as work_file
from headstart.advisor.work import Climb
from headstart.core.errors import UserError
from headstart.data.store import Store
from headstart.features.backends import Mode
from headstart.features.extract import extract
from headstart.features.table import FeatureTable
from headstart.modalities.image.modality import IMAGE
from headstart.modalities.image.read import read_files
from headstart.saved import Saved
from headstart.sources.formats.checks import sha256
from headstart.sources.load import load as load_named
from headstart.sources.providers import run as provider
from headstart.sources.source import Source
from headstart.testing import check_source

SCRATCH = IMAGE.untrained[1]

SOURCE = "random:test_resnet@64"
MINUTES = 0.02  # too few for any gradient arm
WHOLE = Mode(disk="float32")  # what is compared here is the nets


@pytest.fixture(scope="module")
def closed(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that delivered a ridge on the last stage."""
    out = tmp_path_factory.mktemp("runs") / "closed"
    return hs.fit(
        photos, sources=[SOURCE], strategies=["linear"], minutes=MINUTES, deliver="transfer", out=out, thumbnails=False
    ).run


@pytest.fixture(scope="module")
def trained(photos: Path, closed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that delivered a net, three epochs, with the checkpoints of its final training."""
    folder = tmp_path_factory.mktemp("trained")
    asked = work_file.read(closed / work_file.NAME)
    pairs = (("lp-ft", SOURCE), ("scratch", SCRATCH))
    climbs = [Climb(arm=arm, source=s, epochs=3, seconds=1.0) for arm, s in pairs]
    work_file.write(
        folder,
        asked.model_copy(update={"climbs": tuple(climbs), "m": 1, "finalists": 2, "pruned": {}, "not_climbed": ()}),
    )
    publish = runs.publish

    def keeping(unfinished: Path, finished: Path) -> None:
        if not (unfinished / "run" / "checkpoints").exists():
            (last,) = (p.parent for p in unfinished.glob("checkpoints/lp-ft*final/**/checkpoint.json"))
            shutil.copytree(last, unfinished / "run" / "checkpoints" / "final")
        publish(unfinished, finished)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "publish", keeping)
        patch.setattr("headstart.training.plan_learner._best", lambda _: 3)
        return hs.fit(
            photos, sources=[SOURCE], strategies=["lp-ft"], minutes=MINUTES, out=folder / "run", deliver="transfer",
            replay=folder / work_file.NAME, thumbnails=False,
        ).run  # fmt: skip


def own_logits(source: Source, photos: Path) -> np.ndarray:
    """Of the source's own classifier on its last stage."""
    data = read_files(sorted(photos.rglob("*.png"))[:8], None)
    features = extract([source], data, Store(), hs_silent(), {source.name: WHOLE})
    weight, bias = source.own_head() or pytest.fail("no head")
    return features.of(source.name, source.card.stage_names()[-1], data) @ weight.T + bias


def hs_silent() -> Any:
    from headstart.core.progress import Silent

    return Silent()


def probabilities(logits: np.ndarray) -> np.ndarray:
    return torch.softmax(torch.from_numpy(logits), 1).numpy()


def delivered(run: Path, photos: Path) -> np.ndarray:
    """Probabilities of the run's model, before calibration."""
    saved = Saved.open(run)
    data = read_files(sorted(photos.rglob("*.png"))[:8], saved.task)
    features = FeatureTable({}, saved.store)
    if saved.sources:
        features = extract(saved.sources, data, saved.store, hs_silent(), dict.fromkeys(saved.modes, WHOLE))
    return saved.fitted.predict(data, features).probabilities


def facts(run: Path, name: str = "model.json") -> dict[str, Any]:
    return json.loads((run / name).read_text())


# run:


def test_a_trained_net_is_a_source_with_its_own_head(trained: Path, photos: Path) -> None:
    assert facts(trained)["kind"] == "net"
    source = load_named(f"run:{trained}")
    check_source(source)
    np.testing.assert_allclose(probabilities(own_logits(source, photos)), delivered(trained, photos), atol=1e-5)
    base, card = load_named(SOURCE), source.card
    assert source.identity != base.identity
    assert card.name == f"run:{trained}"
    assert card.sha256 == sha256(trained / "model.safetensors")
    assert card.head_classes == ("warp", "weft")
    assert card.licence == base.card.licence
    assert card.trained_on is not None
    assert (card.trained_on.name, card.trained_on.n, card.trained_on.kind) == (str(photos), 60, "image")
    assert card.changes == (f"from {SOURCE} by lp-ft",)
    assert (card.stages, card.input) == (base.card.stages, base.card.input)


def test_a_closed_form_is_its_frozen_net_with_its_head(closed: Path, photos: Path) -> None:
    assert facts(closed)["kind"] == "solve"
    source, base = load_named(f"run:{closed}"), load_named(SOURCE)
    check_source(source)
    np.testing.assert_allclose(probabilities(own_logits(source, photos)), delivered(closed, photos), atol=1e-5)
    card = source.card
    assert card.trained_on == base.card.trained_on, "a frozen net knows what it knew"
    assert card.head_classes == ("warp", "weft")
    assert card.changes == (f"from {SOURCE} by linear",)
    trunk, own = base.model.state_dict(), source.model.state_dict()
    assert all(torch.equal(own[k], v) for k, v in trunk.items() if not k.startswith("fc."))


def test_a_closed_form_on_an_earlier_stage_has_no_head_to_hand_on(closed: Path, tmp_path: Path) -> None:
    run = changed(closed, tmp_path, "model.json", stages=[facts(closed, "card.json")["stages"][0]["name"]])
    source = load_named(f"run:{run}")
    check_source(source)
    assert source.own_head() is None
    assert (source.card.head, source.card.head_classes) == ("", ())
    assert source.card.changes[-1].startswith("the head is left out")


def test_the_next_run_starts_from_the_last(trained: Path, more_photos: Path, tmp_path: Path) -> None:
    name = f"run:{trained}"
    result = hs.fit(
        more_photos, sources=[name], strategies=["linear"], minutes=MINUTES, deliver="transfer",
        out=tmp_path / "next", thumbnails=False,
    )  # fmt: skip
    (source,) = (s for s in result.record.sources if s.name == name)
    assert (source.sha256, source.trained_on_n) == (sha256(trained / "model.safetensors"), 60)
    again = load_named(f"run:{result.run}")
    assert again.card.changes == (f"from {SOURCE} by lp-ft", f"from {name} by linear")
    assert again.card.licence == load_named(SOURCE).card.licence
    check_source(again)


def test_loading_leaves_chance_alone_and_repeats(trained: Path) -> None:
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    first = load_named(f"run:{trained}").identity
    assert torch.equal(torch.rand(2), wanted)
    assert load_named(f"run:{trained}").identity == first


# what is wrong with a run


def changed(run: Path, to: Path, name: str, **new: Any) -> Path:
    """A copy of a run with other values in one of its files."""
    shutil.copytree(run, to / "copy")
    (to / "copy" / name).write_text(json.dumps({**facts(run, name), **new}))
    return to / "copy"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("record.json", None, "a finished run, got"),
        ("record.json", "{", "a finished run, got"),
        ("model.json", "[]", "a finished run, got"),
        ("model.json", '{"kind": "net", "task": {"classes": []}}', "a finished run, got"),
        ("model.json", b"\xff\xfe", "a finished run, got"),
        ("card.json", "{}", "a finished run, got"),
        ("card.json", "null", "a run that delivered a net, got"),
        ("model.safetensors", None, "nothing there"),
        ("model.safetensors", b"\x00" * 9, "with sha256 .*, got"),
    ],
)
def test_a_spoilt_run_is_one_clear_error(
    name: str, content: str | bytes | None, says: str, trained: Path, tmp_path: Path
) -> None:
    run = tmp_path / "copy"
    shutil.copytree(trained, run)
    (run / name).unlink()
    if content is not None:
        (run / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=says) as caught:
        load_named(f"run:{run}")
    assert len(str(caught.value).splitlines()) == 2


def test_a_folder_that_is_no_run() -> None:
    with pytest.raises(UserError, match=r"a finished run, got nowhere \(.*No such file.*\)\nName a run folder"):
        load_named("run:nowhere")


def test_weights_that_are_not_the_run_s(trained: Path, closed: Path, tmp_path: Path) -> None:
    changed(trained, tmp_path, "model.json", sha256=None)
    weights = load_file(trained / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "conv1" not in k}, tmp_path / "copy" / "model.safetensors")
    with pytest.raises(UserError, match=r"missing \(conv1"):
        load_named(f"run:{tmp_path / 'copy'}")
    stated = changed(trained, tmp_path / "stated", "model.json", sha256="0" * 64)
    with pytest.raises(UserError, match=rf"with sha256 {'0' * 64}, got"):
        load_named(f"run:{stated}")
    other = changed(closed, tmp_path / "other", "card.json", sha256="1" * 64)
    with pytest.raises(UserError, match=rf"{SOURCE} with sha256 {'1' * 64}, got None\nThe source has changed"):
        load_named(f"run:{other}")


# checkpoint:


def test_the_last_checkpoint_is_the_delivered_net(trained: Path) -> None:
    """Training ends at the last epoch, and the rest of the net was frozen."""
    folder = trained / "checkpoints"
    *_, last = sorted(folder.rglob("epoch-*.safetensors"))
    final = load_named(f"run:{trained}")
    for name in (last, last.parent, folder, trained):
        source = load_named(f"checkpoint:{name}")
        assert source.identity == final.identity
        assert source.card.sha256 == sha256(last)
        assert source.card.name == f"checkpoint:{name}"
        assert source.card.trained_on == final.card.trained_on
    check_source(source)


def test_an_intermediate_checkpoint_is_another_net(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "copy"
    shutil.copytree(trained, run)
    *_, last = sorted(run.rglob("epoch-*.safetensors"))
    tensors = load_file(last)
    name = next(k for k in tensors if k.startswith("trunk."))
    save_file({**tensors, name: tensors[name] + 1}, last.with_name("epoch-0000.safetensors"))
    early = load_named(f"checkpoint:{last.with_name('epoch-0000.safetensors')}")
    late = load_named(f"checkpoint:{run}")
    differ = [k for k, v in late.model.state_dict().items() if not torch.equal(v, early.model.state_dict()[k])]
    assert differ == [name.removeprefix("trunk.")]
    check_source(early)


def test_a_checkpoint_beside_a_closed_form_starts_from_the_frozen_net(
    trained: Path, closed: Path, tmp_path: Path
) -> None:
    run = tmp_path / "copy"
    shutil.copytree(closed, run)
    shutil.copytree(trained / "checkpoints", run / "checkpoints")
    assert load_named(f"checkpoint:{run}").identity == load_named(f"run:{trained}").identity


def test_of_several_phases_the_last_one_s_epochs_are_kept(tmp_path: Path) -> None:
    place = tmp_path / "unfinished" / "checkpoints" / runs.final("gradual")
    for phase in (2, 10):
        (place / f"phase {phase}").mkdir(parents=True)
        save_file({"trunk.a": torch.tensor(phase)}, place / f"phase {phase}" / "epoch-0001.safetensors")
    (tmp_path / "run").mkdir()
    runs._write_checkpoints(tmp_path / "unfinished", tmp_path / "run", "gradual")
    (kept,) = (tmp_path / "run").rglob("epoch-*")
    assert load_file(kept)["trunk.a"].item() == 10


def test_what_is_no_checkpoint(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "copy"
    shutil.copytree(trained, run)
    *_, last = sorted(run.rglob("epoch-*.safetensors"))
    shutil.copy(last, tmp_path / "alone.safetensors")
    (run / "checkpoints" / "other").mkdir()
    shutil.copy(last, run / "checkpoints" / "other")
    save_file({"optimiser:0:step": torch.ones(1)}, run / "empty.safetensors")
    save_file({"trunk.other.weight": torch.ones(1)}, run / "foreign.safetensors")
    tensors = load_file(last)
    name = next(k for k in tensors if k.startswith("trunk."))
    save_file({**tensors, name: torch.ones(1, 2)}, run / "shape.safetensors")
    save_file({"trunk.fc.parametrizations.weight.0.up": torch.ones(1)}, run / "adapters.safetensors")
    for path, says in {
        tmp_path / "nowhere": "no trainings\nName a file",
        run: "2 trainings\nName one of them",
        tmp_path / "alone.safetensors": "with no record.json above it",
        run / "empty.safetensors": "no weights of a net",
        run / "foreign.safetensors": r"1 unexpected \(other\.weight\)\nIt belongs to another net",
        run / "shape.safetensors": "1 of another shape or type",
        run / "adapters.safetensors": "of adapters beside them\nName the run itself",
    }.items():
        with pytest.raises(UserError, match=says):
            provider.load_checkpoint(str(path))
