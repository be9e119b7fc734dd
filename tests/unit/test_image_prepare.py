"""Every kind of picture file becomes the uint8 square that timm's own evaluation transform would see."""

import io
from pathlib import Path

import numpy as np
import pytest
import timm.data
from PIL import Image, ImageOps

from headstart.data.dataset import Item
from headstart.modalities.image import prepare
from headstart.modalities.image.modality import IMAGE
from headstart.modalities.image.prepare import open_rgb
from headstart.modalities.image.thumbnail import thumbnail
from headstart.sources.card import ImageInput

WHOLE = ImageInput(size=32, crop=1.0, interpolation="bilinear")


def _photo(width: int, height: int) -> Image.Image:
    """Large shapes, fine texture."""
    rng = np.random.default_rng(0)
    base = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize((width, height), Image.BICUBIC)
    grain = rng.normal(0, 8, (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(base) + grain, 0, 255).astype(np.uint8))


def _saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def _prepared(path: Path, wanted: ImageInput = WHOLE) -> np.ndarray:
    pixels = IMAGE.prepare(Item(path.name, path, "k"), wanted)
    assert pixels.shape == (wanted.size, wanted.size, 3)
    assert pixels.dtype == np.uint8
    return pixels


@pytest.mark.parametrize(("width", "height"), [(400, 300), (300, 433), (257, 257), (180, 120), (64, 200)])
@pytest.mark.parametrize(("size", "crop", "interpolation"), [(224, 0.875, "bicubic"), (96, 0.95, "bilinear")])
def test_as_timm(tmp_path: Path, width: int, height: int, size: int, crop: float, interpolation: str) -> None:
    photo = _photo(width, height)
    path = _saved(tmp_path / "p.png", photo)
    wanted = ImageInput.model_validate({"size": size, "crop": crop, "interpolation": interpolation})
    transform = timm.data.create_transform(
        input_size=(3, size, size), crop_pct=crop, interpolation=interpolation, mean=(0, 0, 0), std=(1, 1, 1)
    )
    theirs = (transform(photo).permute(1, 2, 0).numpy() * 255).round()
    assert np.abs(_prepared(path, wanted) - theirs).mean() < 1.0


def test_draft_decoding_of_a_large_jpeg_changes_little(tmp_path: Path) -> None:
    photo = _photo(1600, 1200)
    jpeg = _saved(tmp_path / "p.jpg", photo, quality=95)
    wanted = ImageInput(size=64)
    with Image.open(jpeg) as file:
        png = _saved(tmp_path / "p.png", file.convert("RGB"))
    small, full = _prepared(jpeg, wanted), _prepared(png, wanted)
    assert np.abs(small.astype(int) - full).mean() < 1.5


def _ramp() -> np.ndarray:
    return np.tile(np.linspace(0, 255, 64).round().astype(np.uint8), (64, 1))


GREY = np.repeat(_ramp()[..., None], 3, axis=2)


@pytest.mark.parametrize("kind", ["L", "sixteen", "P", "RGB", "one.tiff", "float.tiff", "CMYK"])
def test_every_mode_shows_the_same_ramp(tmp_path: Path, kind: str) -> None:
    ramp = Image.fromarray(_ramp())
    made = {
        "L": lambda: _saved(tmp_path / "a.png", ramp),
        "sixteen": lambda: _saved(tmp_path / "a.png", Image.fromarray(_ramp().astype(np.uint16) * 257)),
        "P": lambda: _saved(tmp_path / "a.gif", ramp.convert("P")),
        "RGB": lambda: _saved(tmp_path / "a.bmp", Image.fromarray(GREY)),
        "one.tiff": lambda: _saved(tmp_path / "a.tiff", Image.fromarray(_ramp().astype(np.uint16) * 257)),
        "float.tiff": lambda: _saved(tmp_path / "a.tiff", Image.fromarray(_ramp().astype(np.float32))),
        "CMYK": lambda: _saved(tmp_path / "a.jpg", Image.fromarray(GREY).convert("CMYK"), quality=98),
    }[kind]()
    shown = np.asarray(open_rgb(made)).astype(int)
    assert shown.shape == (64, 64, 3)
    assert np.abs(shown - GREY).mean() < 4


def test_a_black_and_white_picture(tmp_path: Path) -> None:
    path = _saved(tmp_path / "a.png", Image.fromarray(_ramp()).convert("1", dither=Image.Dither.NONE))
    assert set(np.unique(np.asarray(open_rgb(path)))) == {0, 255}


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 10, 20))
    path = _saved(tmp_path / "a.png", image.convert("LA") if mode == "LA" else image.convert(mode))
    if mode == "P":
        palette = Image.new("P", (20, 20), 0)
        palette.putpalette([9, 9, 9, 0, 0, 0])
        palette.paste(1, (0, 0, 10, 20))
        _saved(path, palette, transparency=0)
    shown = np.asarray(open_rgb(path))
    assert (shown[:, :10] == 0).all()
    assert (shown[:, 10:] == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_is_upright(tmp_path: Path, orientation: int) -> None:
    photo = _photo(60, 40)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = _saved(tmp_path / "a.png", photo, exif=exif)
    with Image.open(path) as file:
        upright = ImageOps.exif_transpose(file)
    shown = np.asarray(open_rgb(path))
    assert (shown == np.asarray(upright)).all()
    assert shown.shape[:2] == ((40, 60) if orientation < 5 else (60, 40))


def test_the_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    path = _saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:], duration=50)
    assert np.asarray(open_rgb(path))[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 500), (500, 1)])
def test_strange_shapes(tmp_path: Path, width: int, height: int) -> None:
    path = _saved(tmp_path / "a.png", Image.new("RGB", (width, height), (10, 20, 30)))
    assert (_prepared(path) == (10, 20, 30)).all()


def test_a_thumbnail_is_small(tmp_path: Path) -> None:
    path = _saved(tmp_path / "a.png", _photo(400, 300))
    with Image.open(io.BytesIO(thumbnail(Item("a", path, "k")))) as small:
        assert small.format == "JPEG"
        assert small.size == (160, 120)


def test_a_picture_is_decoded_once_for_sources_in_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, decoded = tmp_path / "one.png", []
    Image.new("RGB", (40, 40), (255, 0, 0)).save(path)
    real = prepare.rgb
    monkeypatch.setattr(prepare, "rgb", lambda image: decoded.append(image.size) or real(image))
    for size in (16, 20, 24):
        IMAGE.prepare(Item(path.name, path, "k"), ImageInput(size=size))
    assert decoded == [(40, 40)]
    Image.new("RGB", (41, 41), (0, 0, 255)).save(path)
    assert IMAGE.prepare(Item(path.name, path, "k"), ImageInput(size=16))[0, 0].tolist() == [0, 0, 255]
