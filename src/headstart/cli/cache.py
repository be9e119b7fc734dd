"""`headstart cache`: where weights and features are kept, and how to be rid of them."""

from headstart.cli import options
from headstart.cli.output import emit, emit_text


def info(json: options.Json = False) -> None:
    """Say where the cache is and how much it holds."""
    from headstart.data.store import Store

    store = Store()
    if json:
        emit({"path": str(store.root), "bytes": store.size()})
        return
    emit_text(f"{store.root}\n{store.size() / 1e6:.1f} MB")


def clear(json: options.Json = False) -> None:
    """Empty the cache. Runs keep all they need; only time is lost."""
    from headstart.data.store import Store

    store = Store()
    freed = store.size()
    store.clear()
    if json:
        emit({"freed_bytes": freed})
        return
    emit_text(f"freed {freed / 1e6:.1f} MB")
