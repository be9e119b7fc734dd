"""`headstart cache`: where weights and features are kept, and how to be rid of them."""

from headstart.cli import options
from headstart.cli.output import emit, emit_text


def info(json: options.Json = False) -> None:
    """Say where the cache is and how much it holds."""
    from headstart.data.store import Store

    root = Store().root
    sizes = [path.stat().st_size for path in root.rglob("*") if path.is_file()]
    if json:
        emit({"path": str(root), "files": len(sizes), "bytes": sum(sizes)})
        return
    emit_text(f"{root}\n{len(sizes)} files, {sum(sizes) / 1e6:.1f} MB")


def clear(json: options.Json = False) -> None:
    """Empty the cache. Runs keep all they need; only time is lost."""
    from headstart.data.store import Store

    freed = Store().clear()
    if json:
        emit({"freed_bytes": freed})
        return
    emit_text(f"freed {freed / 1e6:.1f} MB")
