"""Malformed and hostile checkpoints: a name, how one is made, how it is opened, what is said. All are made in code."""

import hashlib
import io
import os
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as safe_bytes
from torch import Tensor

from headstart.sources.access import Access
from headstart.sources.formats import archive
from headstart.sources.formats.checks import sha256
from headstart.sources.providers import file
from headstart.sources.providers.timm import build
from headstart.sources.trusted import check

ARCHITECTURE = "test_resnet"
CANARY = "canary"  # appears beside the file if code in it was run

Make = Callable[[Path], Path]


def trusting(path: Path) -> object:
    """The way of a user who trusts the file."""
    return file.load(f"{ARCHITECTURE}@{path}", Access(trust=True))


@dataclass(frozen=True)
class Hostile:
    """One file that must not be used.

    Args:
        name: of the test.
        make: leaves the file in a fresh folder.
        says: a pattern that the message matches.
        open: how it is opened.
    """

    name: str
    make: Make
    says: str
    open: Callable[[Path], object] = trusting


class Code:
    """A pickled object that writes the canary when it is unpickled by a reader that runs code."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.root / CANARY}'",)


class Built:
    """A class that every reader allows, with code in its state."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __reduce__(self) -> tuple[Any, ...]:
        return OrderedDict, (), {"state": Code(self.root)}


def weights() -> dict[str, Tensor]:
    """A whole and harmless state dict of the architecture."""
    return dict(build(ARCHITECTURE).state_dict())


def saved(value: object, *, legacy: bool = False) -> bytes:
    """What `torch.save` writes."""
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def changed(**new: Any) -> dict[str, Any]:
    """The state dict with entries set, or left out where None."""
    return {name: value for name, value in {**weights(), **new}.items() if value is not None}


def put(path: Path, content: bytes) -> Path:
    """A file of these bytes."""
    path.write_bytes(content)
    return path


def one_changed(**new: Any) -> Make:
    """The architecture's own state dict but for these entries."""
    return pth(lambda _: changed(**new))


def pth(value: Callable[[Path], object], *, legacy: bool = False) -> Make:
    """`w.pth` with what the function makes of the folder."""
    return lambda root: put(root / "w.pth", saved(value(root), legacy=legacy))


def raw(name: str, content: Callable[[], bytes]) -> Make:
    """A file of bytes."""
    return lambda root: put(root / name, content())


def safe(header: bytes | None, body: bytes, stated: int | None = None) -> bytes:
    """A file of safetensors with that header, and a length that may lie."""
    text = header or b"{}"
    return struct.pack("<Q", len(text) if stated is None else stated) + text + body


def spans(*ends: tuple[int, int]) -> bytes:
    """A header of float tensors of one number at these offsets."""
    rows = [f'"t{i}":{{"dtype":"F32","shape":[1],"data_offsets":[{a},{b}]}}' for i, (a, b) in enumerate(ends)]
    return ("{" + ",".join(rows) + "}").encode()


def deflated() -> bytes:
    """A zip of torch whose numbers are compressed: a thousand times as many as the file has bytes."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(saved({"a": torch.zeros(2_000_000)}))) as whole,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for name in whole.namelist():
            small.writestr(name, whole.read(name))
    return out.getvalue()


def whole(root: Path) -> Path:
    """A file with nothing wrong."""
    return put(root / "w.pth", saved(weights()))


def program() -> bytes:
    """A zip of torch with the member that marks a TorchScript program."""
    out = io.BytesIO(saved({"a": torch.zeros(2)}))
    with zipfile.ZipFile(out, "a") as archived:
        archived.writestr(f"{archived.namelist()[0].partition('/')[0]}/constants.pkl", b"")
    return out.getvalue()


def objects() -> bytes:
    """An .npz with an array of objects, which numpy keeps as a pickle."""
    out = io.BytesIO()
    np.savez(out, a=np.array([{"a": 1}], dtype=object))
    return out.getvalue()


def circle(_: Path) -> object:
    """A dictionary that holds itself."""
    found: dict[str, object] = {}
    found["again"] = found
    return found


def tripled(_: Path) -> object:
    """Many names for one large tensor."""
    one = torch.zeros(100_000)
    return {f"t{i}": one for i in range(50)}


# --- archives


def member(name: str, largest: int = 1_000_000, wanted: str | None = None) -> Callable[[Path], object]:
    """Read one member, with the archive's own hash unless another is wanted."""

    def opened(path: Path) -> object:
        own = hashlib.sha256(path.read_bytes()).hexdigest()
        return archive.member(path, name, wanted=wanted or own, largest=largest)

    return opened


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes]) -> Make:
    """A compressed zip of these members."""

    def make(root: Path) -> Path:
        with zipfile.ZipFile(root / "a.zip", "w", zipfile.ZIP_DEFLATED) as out:
            for name, content in members:
                out.writestr(name, content)
        return root / "a.zip"

    return make


def link_in_zip() -> zipfile.ZipInfo:
    """A symbolic link, as zip keeps it."""
    info = zipfile.ZipInfo("w.pth")
    info.external_attr = 0o120777 << 16
    return info


def lying_zip(root: Path) -> Path:
    """A zip that states ten bytes for a member of a million."""
    path = zipped(("w.pth", b"\0" * 1_000_000))(root)
    return put(path, path.read_bytes().replace(struct.pack("<I", 1_000_000), struct.pack("<I", 10)))


def tarred(kind: bytes, target: str = "", content: bytes = b"", mode: str = "w") -> Make:
    """A tar of one member of that kind."""

    def make(root: Path) -> Path:
        with tarfile.open(root / "a.tar", mode) as out:
            info = tarfile.TarInfo("w.pth")
            info.type, info.linkname, info.size = kind, target, len(content)
            out.addfile(info, io.BytesIO(content))
        return root / "a.tar"

    return make


def cut(make: Make, keep: float = 0.5) -> Make:
    """The first part of another file."""

    def made(root: Path) -> Path:
        path = make(root)
        whole = path.read_bytes()
        return put(path, whole[: int(len(whole) * keep)])

    return made


def folder(root: Path) -> Path:
    """A folder that is called like a file."""
    (root / "w.pth").mkdir()
    return root / "w.pth"


ZEROS, NOISE = b"\0" * 10_000_000, np.random.default_rng(0).bytes(9999)
FIRST = next(iter(weights()))

HOSTILE = (
    # code
    Hostile("code in a zip of torch", pth(lambda r: {"a": Code(r)}), r"a pickle that wants to run posix\.system"),
    Hostile("code in a legacy file", pth(lambda r: {"a": Code(r)}, legacy=True), r"wants to run posix\.system"),
    Hostile("code in a plain pickle", lambda r: put(r / "w.pth", pickle.dumps(Code(r))), "no file that torch.save"),
    Hostile("code in pickle 2", lambda r: put(r / "w.bin", pickle.dumps(Code(r), 2)), r"wants to run posix\.system"),
    Hostile("code in the state of a dictionary", pth(lambda r: {"a": Built(r)}), r"wants to run posix\.system"),
    Hostile(
        "code beside a good state dict",
        pth(lambda r: {"state_dict": weights(), "optimizer": Code(r)}),
        r"wants to run posix\.system",
    ),
    Hostile("a whole net", pth(lambda _: torch.nn.Linear(2, 2)), r"wants to run torch\.nn\.modules\.linear\.Linear"),
    Hostile("a program", raw("w.pt", program), "a program"),
    Hostile("an array of objects as .pth", raw("w.pth", objects), "no file that torch.save wrote"),
    Hostile("an array of objects", raw("w.npz", objects), r"ends in \.npz"),
    # not the file
    Hostile("wrong hash", whole, "with sha256 0000", lambda p: check(p, sha256(p), trust=True, stated="0" * 64)),
    Hostile("unknown hash", whole, "--trust", lambda p: file.load(f"{ARCHITECTURE}@{p}")),
    Hostile("a web page", raw("w.pth", lambda: b"\n<!DOCTYPE html><html>404</html>"), "a web page"),
    Hostile("a pointer of LFS", raw("w.safetensors", lambda: b"version https://git-lfs.example/spec/v1\n"), "Git LFS"),
    Hostile("empty", raw("w.pth", lambda: b""), "an empty file"),
    Hostile("a folder", folder, "a folder"),
    Hostile("missing", lambda r: r / "w.pth", "nothing there"),
    Hostile("no known ending", raw("w.pkl", lambda: b"x"), r"ends in \.pkl"),
    Hostile("noise", raw("w.pth", lambda: b"\x80\x02" + bytes(range(256))), "a file of tensors"),
    # damaged
    Hostile("a zip of torch cut short", cut(whole), "cut short"),
    Hostile("a legacy file cut short", cut(pth(lambda _: weights(), legacy=True)), "cut short"),
    Hostile("safetensors cut short", cut(raw("w.safetensors", lambda: safe_bytes(weights()))), "cut short"),
    Hostile("safetensors with more", raw("w.safetensors", lambda: safe_bytes(weights()) + b"x"), "belong to no tensor"),
    Hostile("a huge header", raw("w.safetensors", lambda: safe(None, b"", 2**60)), "a header beyond 100 MB"),
    Hostile("no header", raw("w.safetensors", lambda: safe(b"{nope}", b"")), "a header that cannot be read"),
    Hostile("overlapping tensors", raw("w.safetensors", lambda: safe(spans((0, 4), (0, 4)), b"\0" * 4)), "overlap"),
    Hostile("a gap between tensors", raw("w.safetensors", lambda: safe(spans((0, 4), (8, 12)), b"\0" * 12)), "gaps"),
    Hostile("offsets beyond the end", raw("w.safetensors", lambda: safe(spans((0, 4000)), b"\0" * 4)), "not its size"),
    # bombs
    Hostile("a bomb in a zip of torch", raw("w.pth", deflated), "which is not compressed"),
    Hostile("one number a million times", pth(lambda _: {"a": torch.zeros(1).expand(10**9)}), "repeats what is stored"),
    Hostile("one tensor under many names", pth(tripled), "repeats what is stored"),
    Hostile("a dictionary in itself", pth(circle), "too many dictionaries"),
    # other content
    Hostile("a list", pth(lambda _: [torch.zeros(1)]), "the whole is list"),
    Hostile("text among tensors", one_changed(note="hello"), "note is str"),
    Hostile("numbers for names", pth(lambda _: {0: torch.zeros(1)}), "the key 0"),
    Hostile("no tensors", pth(lambda _: {"state_dict": {}}), "at least one tensor"),
    Hostile("sparse", pth(lambda _: {"a": torch.eye(3).to_sparse()}), "sparse"),
    Hostile("tensors without numbers", pth(lambda _: {"a": torch.ones(3, device="meta")}), "no numbers"),
    Hostile("complex numbers", pth(lambda _: {"a": torch.ones(3, dtype=torch.complex64)}), "of type complex64"),
    Hostile("NaN", one_changed(**{FIRST: weights()[FIRST] * torch.nan}), f"{FIRST} holds NaN"),
    Hostile("infinity", raw("w.safetensors", lambda: safe_bytes({"a": torch.tensor([torch.inf])})), "a holds NaN or"),
    Hostile("a name that moves the cursor", one_changed(**{"\x1b[2J\nx": torch.zeros(1)}), r"'\\x1b\[2J\\nx'"),
    # another net
    Hostile("another architecture", pth(lambda _: dict(build("test_vit").state_dict())), r"missing .*unexpected"),
    Hostile("a name changed", one_changed(**{FIRST: None, "konv": torch.zeros(1)}), f"1 missing .{FIRST}.; 1 unexp"),
    Hostile("too much", one_changed(extra=torch.zeros(1)), r"1 unexpected \(extra\)"),
    Hostile("another shape", one_changed(**{FIRST: torch.zeros(2, 3)}), rf"shape or type \({FIRST}: \(2, 3\)"),
    Hostile("whole numbers", one_changed(**{FIRST: weights()[FIRST].int()}), "int32 for float32"),
    Hostile(
        "two nets in one",
        pth(lambda _: {f"{p}.{k}": v for k, v in weights().items() for p in ("model", "module")}),
        "for the same weight",
    ),
    # archives
    Hostile("archive of another hash", zipped(("w.pth", b"x")), "with sha256 1111", member("w.pth", wanted="1" * 64)),
    Hostile("a name out of the zip", zipped(("../../w.pth", b"x")), "leads out of it", member("../../w.pth")),
    Hostile("an absolute name", zipped(("/w.pth", b"x")), "leads out of it", member("/w.pth")),
    Hostile("a name of another drive", zipped(("C:\\w.pth", b"x")), "leads out of it", member("C:\\w.pth")),
    Hostile("a link in a zip", zipped((link_in_zip(), b"/etc/passwd")), "a link, a folder", member("w.pth")),
    Hostile("a bomb in a zip", zipped(("w.pth", ZEROS)), "at most 1,000,000 bytes", member("w.pth")),
    Hostile("a zip that lies about sizes", lying_zip, "damaged", member("w.pth")),
    Hostile("no such member", zipped(("v.pth", b"x")), "Did you mean v.pth", member("w.pth")),
    Hostile("a zip cut short", cut(zipped(("w.pth", ZEROS))), "damaged", member("w.pth")),
    Hostile("a link in a tar", tarred(tarfile.SYMTYPE, "/etc/passwd"), "a link, a folder", member("w.pth")),
    Hostile("a hard link in a tar", tarred(tarfile.LNKTYPE, "/etc/passwd"), "a link, a folder", member("w.pth")),
    Hostile("a device in a tar", tarred(tarfile.CHRTYPE), "a link, a folder", member("w.pth")),
    Hostile("a large member", tarred(tarfile.REGTYPE, content=ZEROS), "at most 1,000,000 bytes", member("w.pth")),
    Hostile("a bomb in a tar", tarred(tarfile.REGTYPE, content=ZEROS, mode="w:xz"), "when it is unp", member("w.pth")),
    Hostile("a tar cut short", cut(tarred(tarfile.REGTYPE, content=NOISE, mode="w:gz")), "damaged", member("w.pth")),
)  # fmt: skip
