"""Files of weights as sources: strict, by their own names or others', trusted or added before."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from headstart.core.errors import UserError
from headstart.sources import added, trusted
from headstart.sources import load as sources
from headstart.sources.access import Access
from headstart.sources.formats.checks import sha256
from headstart.sources.layouts import bare, official
from headstart.sources.load import rebuild
from headstart.sources.providers import file
from headstart.sources.providers.timm import build
from headstart.testing import check_source

NET = "test_resnet"
HEAD = ("fc.bias", "fc.weight")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def trained() -> dict[str, Tensor]:
    """Weights as training might have left them: unlike any that a fresh net has."""
    torch.manual_seed(7)
    net = build(NET, {"num_classes": 5})
    for name, buffer in net.named_buffers():
        buffer.add_({"num_batches_tracked": 3, "running_var": 0.1}.get(name.rpartition(".")[2], 1e-4))
    return dict(net.state_dict())


def kept(path: Path, tensors: Mapping[str, Any]) -> Path:
    if path.suffix == ".safetensors":
        save_file(dict(tensors), path)
    else:
        torch.save(dict(tensors), path)
    return path


def load(path: Path, *allow_missing: str, net: str = NET) -> Any:
    return file.load(f"{net}@{path}", Access(trust=True, allow_missing=tuple(allow_missing)))


def without(tensors: Mapping[str, Tensor], *names: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name not in names}


# what is loaded


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_every_tensor_arrives_and_the_contract_is_kept(ending: str, tmp_path: Path, trained: dict[str, Tensor]) -> None:
    path = kept(tmp_path / f"w{ending}", trained)
    source = load(path)
    found = source.model.state_dict()
    assert found.keys() == trained.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in trained.items())
    card = source.card
    assert card.name == f"file:{NET}@{path}"
    assert card.sha256 == sha256(path)
    assert (card.licence.name, card.licence.commercial, card.trained_on) == (None, False, None)
    assert (card.changes, card.head, card.head_classes) == ((), "fc", ())
    check_source(source)
    assert load(path).identity == source.identity
    again = rebuild(card)
    again.model.load_state_dict(trained, strict=True)
    assert again.identity == source.identity


@pytest.mark.parametrize("classes", [1, 5, 1000])
def test_the_number_of_classes_is_the_file_s(classes: int, tmp_path: Path) -> None:
    source = load(kept(tmp_path / "w.pth", build(NET, {"num_classes": classes}).state_dict()))
    assert source.model.get_classifier().out_features == classes
    assert dict(source.card.architecture.options) == ({} if classes == 1000 else {"num_classes": classes})


def test_half_precision_becomes_the_net_s(tmp_path: Path, trained: dict[str, Tensor]) -> None:
    halves = {k: v.half() if v.is_floating_point() else v for k, v in trained.items()}
    found = load(kept(tmp_path / "w.pth", halves)).model.state_dict()
    assert all(found[k].dtype == v.dtype and torch.equal(found[k], halves[k].to(v.dtype)) for k, v in trained.items())


def test_numbers_without_dimensions_may_have_one(tmp_path: Path, trained: dict[str, Tensor]) -> None:
    """As torch 0.3 and numpy write them."""
    path = kept(tmp_path / "w.pth", {k: v.reshape(1) if not v.ndim else v for k, v in trained.items()})
    assert load(path).identity == load(kept(tmp_path / "p.pth", trained)).identity


@pytest.mark.parametrize(
    "prefix",
    ["module.", "backbone.", "model.", "encoder.", "_orig_mod.", "module.model.", "_orig_mod.module.backbone."],
)
def test_prefixes_are_taken_off(prefix: str, tmp_path: Path, trained: dict[str, Tensor]) -> None:
    plain = load(kept(tmp_path / "p.pth", trained)).identity
    assert load(kept(tmp_path / "w.pth", {f"{prefix}{k}": v for k, v in trained.items()})).identity == plain
    trunk = {f"{prefix}{k}" if k not in HEAD else k: v for k, v in trained.items()}
    assert load(kept(tmp_path / "t.pth", trunk)).identity == plain


def test_counters_of_old_files_may_lack(tmp_path: Path, trained: dict[str, Tensor]) -> None:
    old = {k: v for k, v in trained.items() if not k.endswith("num_batches_tracked")}
    assert len(old) < len(trained)
    assert load(kept(tmp_path / "w.pth", old)).card.changes == ()


SLOW = pytest.mark.slow  # half a gigabyte


@pytest.mark.parametrize("net", ["resnet18", pytest.param("vgg11", marks=SLOW), pytest.param("vgg19", marks=SLOW)])
def test_the_layout_of_the_net_s_authors(net: str, tmp_path: Path) -> None:
    made = torchvision.models.get_model(net, num_classes=3).eval()
    source = load(kept(tmp_path / "w.pth", {f"module.{k}": v for k, v in made.state_dict().items()}), net=net)
    pixels = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(source.model(pixels), made(pixels), rtol=1e-4, atol=1e-4)
    assert source.card.changes == ()


def test_renaming_is_taken_over_and_resampling_is_not() -> None:
    with torch.device("meta"):
        vgg, vit = build("vgg11"), build("test_vit")
    first = {"features.0.weight": torch.ones(2), "classifier.0.weight": torch.ones(1, 25_088)}
    renamed = official(first, vgg)
    assert renamed is not None
    assert {name: tuple(tensor.shape) for name, tensor in renamed.items()} == {
        "features.0.weight": (2,),
        "pre_logits.fc1.weight": (1, 512, 7, 7),
    }
    positions = {"pos_embed": torch.rand(1, 1 + 7 * 7, 64), "patch_embed.proj.weight": torch.rand(64, 3, 16, 16)}
    assert official(positions, vit) is None
    assert official({"a": torch.ones(1)}, build(NET)) is None


# what is not


def test_what_was_not_loaded_is_said_by_name_and_reason(tmp_path: Path, trained: dict[str, Tensor]) -> None:
    names = sorted(k for k in trained if k.endswith("weight") and k != "fc.weight")
    spoilt = without(trained, *names[:5]) | {names[5]: torch.zeros(1), names[6]: torch.zeros(2, 2)}
    spoilt |= {"zeta": torch.zeros(1), "alpha": torch.zeros(1)}
    with pytest.raises(UserError) as caught:
        load(kept(tmp_path / "w.pth", spoilt))
    said = caught.value
    assert said.expected == f"the {len(trained)} tensors of {NET}"
    shape = tuple(trained[names[5]].shape)
    assert said.came.endswith(
        f"5 missing ({', '.join(names[:3])} and 2 more); 2 unexpected (alpha, zeta); "
        f"2 of another shape or type ({names[5]}: (1,) for {shape} and 1 more)"
    )
    assert "--allow-missing GLOB" in said.do


def test_a_head_that_lacks_must_be_allowed_and_is_named(tmp_path: Path, trained: dict[str, Tensor]) -> None:
    path = kept(tmp_path / "w.pth", without(trained, *HEAD))
    with pytest.raises(UserError, match=r"2 missing \(fc\.bias, fc\.weight\)\n.*--allow-missing 'fc\.\*'"):
        load(path)
    for other in ("head.*", "fc.weight", "fc"):
        with pytest.raises(UserError, match="missing"):
            load(path, other)
    source = load(path, "fc.*")
    assert source.card.changes == ("not in the file, re-initialised (seed 0): fc.bias, fc.weight",)
    assert load(path, "fc.*").identity == source.identity
    check_source(source)


def test_what_is_left_out_of_the_file_must_be_allowed_and_is_named(tmp_path: Path, trained: dict[str, Tensor]) -> None:
    path = kept(tmp_path / "w.pth", {**trained, "queue": torch.zeros(3), "momentum.fc.bias": torch.zeros(3)})
    with pytest.raises(UserError, match=r"2 unexpected \(momentum\.fc\.bias, queue\)"):
        load(path)
    said = "in the file, left out: 'momentum.fc.bias', 'queue'"
    assert load(path, "queue", "momentum.*").card.changes == (said,)


def test_another_shape_may_be_allowed(tmp_path: Path, trained: dict[str, Tensor]) -> None:
    path = kept(tmp_path / "w.pth", {**trained, "conv1.0.weight": torch.zeros(1, 2)})
    assert load(path, "conv1.*").card.changes == ("not in the file, re-initialised (seed 0): conv1.0.weight",)


def test_not_everything_may_lack(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none of them"):
        load(kept(tmp_path / "w.pth", {"other": torch.zeros(1)}), "*")


def test_two_nets_in_one_file_are_not_mixed() -> None:
    wanted = ["fc.bias"]
    assert bare(["model.fc.bias", "model_ema.fc.bias"], wanted)["model_ema.fc.bias"] == "model_ema.fc.bias"
    with pytest.raises(UserError, match=r"encoder\.fc\.bias, model\.fc\.bias for the same weight"):
        bare(["model.fc.bias", "encoder.fc.bias"], wanted)


# trust


def test_a_file_whose_hash_nobody_has_stated_needs_trust(tmp_path: Path, trained: dict[str, Tensor]) -> None:
    path = kept(tmp_path / "w.pth", trained)
    name, found = f"{NET}@{path}", sha256(path)
    with pytest.raises(UserError, match=f"{found}.*\n.*--trust"):
        file.load(name)
    assert file.load(name, Access(trust=True)).card.sha256 == found


def test_a_stated_hash_must_be_right(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    trusted.check(path, "ab12", trust=False, stated="AB12")
    with pytest.raises(UserError, match="with sha256 ff00, got ab12"):
        trusted.check(path, "ab12", trust=True, stated="ff00")


@pytest.mark.parametrize("provider", ["keras", "darknet", "hub"])
def test_every_provider_of_own_files_asks_for_trust(provider: str, tmp_path: Path) -> None:
    cfg = "[net]\nwidth=32\nheight=32\nchannels=3\n[convolutional]\nfilters=2\nsize=1\n"
    (tmp_path / "net.cfg").write_text(cfg)
    (tmp_path / "net.weights").write_bytes(b"any bytes")
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    (tmp_path / "model.safetensors").write_bytes(b"any bytes")
    name = {"keras": "net.weights", "darknet": "net.cfg", "hub": ""}[provider]
    with pytest.raises(UserError, match=r"a file whose sha256 is known.*\n.*--trust"):
        sources.load(f"{provider}:{tmp_path / name}", Access(any_licence=True))


@pytest.mark.parametrize("name", ["@w.pth", f"{NET}@", "@"])
def test_names_of_another_form(name: str) -> None:
    with pytest.raises(UserError, match="expected file:ARCH@PATH or file:NAME"):
        file.load(name, Access(trust=True))


def test_an_unknown_architecture_offers_near_ones(tmp_path: Path, trained: dict[str, Tensor]) -> None:
    with pytest.raises(UserError, match=r"Did you mean .*test_resnet"):
        load(kept(tmp_path / "w.pth", trained), net="test_resnett")


# added


def add(path: Path, name: str = "mine", **facts: Any) -> added.Added:
    return file.add(path, NET, name=name, **facts)


def test_what_was_added_needs_no_trust_and_not_its_file(
    cache: Path, tmp_path: Path, trained: dict[str, Tensor]
) -> None:
    path = kept(tmp_path / "w.pth", trained)
    identity = load(path).identity
    entry = add(path, licence="Apache-2.0", trained_on="Leaves", n=1200)
    assert entry.path == cache / "added" / f"{sha256(path)}.pth"
    path.unlink()
    source = file.load("mine", Access(offline=True))
    assert source.identity == identity
    card = source.card
    assert (card.name, card.sha256) == ("file:mine", entry.sha256)
    assert (card.licence.name, card.licence.commercial) == ("Apache-2.0", True)
    assert card.trained_on is not None
    assert (card.trained_on.name, card.trained_on.n, card.trained_on.kind) == ("Leaves", 1200, "image")
    assert added.entries() == (entry,)
    copy = tmp_path / "copy.pth"
    copy.write_bytes(entry.path.read_bytes())
    assert file.load(f"{NET}@{copy}").card.sha256 == entry.sha256, "the hash is known by now"
    assert not list(cache.rglob(".*")), "nothing is left aside"


def test_only_what_fits_strictly_is_added(cache: Path, tmp_path: Path, trained: dict[str, Tensor]) -> None:
    path = kept(tmp_path / "w.pth", without(trained, *HEAD))
    with pytest.raises(UserError, match="2 missing"):
        add(path)
    assert added.entries() == ()
    assert not cache.exists()


def test_a_name_is_given_once(tmp_path: Path, trained: dict[str, Tensor]) -> None:
    path = kept(tmp_path / "w.pth", trained)
    add(path)
    assert add(path, licence="MIT").licence == "MIT", "the same weights again may say more"
    other = kept(tmp_path / "o.pth", {**trained, "fc.bias": torch.ones(5)})
    with pytest.raises(UserError, match="mine, which other weights have"):
        add(other)
    add(other, "more")
    assert [entry.name for entry in added.entries()] == ["mine", "more"]
    with pytest.raises(UserError, match="Did you mean mine"):
        file.load("mien")


@pytest.mark.parametrize("name", ["", "../x", "a@b", "a/b", "-x", "x" * 65, "a\n"])
def test_names_that_cannot_be_told_from_paths(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a name of letters, digits"):
        add(tmp_path / "no.pth", name)


@pytest.mark.parametrize(("on", "n"), [("Leaves", None), (None, 3), ("Leaves", 0)])
def test_what_it_was_trained_on_is_said_whole(on: str | None, n: int | None, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="what it was trained on, and how many examples"):
        add(tmp_path / "no.pth", trained_on=on, n=n)


def test_the_hash_is_checked_again(tmp_path: Path, trained: dict[str, Tensor]) -> None:
    entry = add(kept(tmp_path / "w.pth", trained))
    kept(entry.path, {**trained, "fc.bias": torch.ones(5)})
    with pytest.raises(UserError, match=f"with sha256 {entry.sha256}"):
        file.load("mine")
    entry.path.unlink()
    with pytest.raises(UserError, match="a cache that was cleared\nAdd the file again"):
        file.load("mine")


@pytest.mark.parametrize("change", [{"file": "../../outside.pth"}, {"name": "other"}, {"extra": 1}, {"sha256": None}])
def test_a_spoilt_entry_is_one_clear_error(
    change: dict[str, Any], cache: Path, tmp_path: Path, trained: dict[str, Tensor]
) -> None:
    add(kept(tmp_path / "w.pth", trained))
    place = cache / "added" / "mine.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), **change}))
    with pytest.raises(UserError, match="an entry of an added source"):
        file.load("mine")
    place.write_bytes(b"\xff{")
    with pytest.raises(UserError, match="an entry of an added source"):
        file.load("mine")


def test_a_spoilt_entry_hides_no_other(cache: Path, tmp_path: Path, trained: dict[str, Tensor]) -> None:
    add(kept(tmp_path / "w.pth", trained))
    (cache / "added" / "another.json").write_bytes(b"\xff{")
    assert [entry.name for entry in added.entries()] == ["mine"]
