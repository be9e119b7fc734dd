"""`headstart serve`: a page and a JSON API that answer with a run's model."""

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.output import console
from headstart.cli.progress import progress
from headstart.core.extras import require

PACKAGES = ("fastapi", "uvicorn", "python_multipart")
Host = Annotated[str, typer.Option("--host", metavar="HOST", help="To listen on; others than loopback need a token.")]
Port = Annotated[int, typer.Option("--port", metavar="N", help="To listen on; 0 takes any that is free.")]
Limit = Annotated[
    float | None, typer.Option("--limit", metavar="MB", help="The largest request, 20 megabytes unless said.")
]


def serve(
    run: options.Run, host: Host = "127.0.0.1", port: Port = 8000, limit: Limit = None, quiet: options.Quiet = False
) -> None:
    """Answer over HTTP with the model of RUN, on a page and as JSON, until Ctrl-C.

    Where others than this machine can reach --host, HEADSTART_TOKEN must hold a secret that clients then send.
    """
    for package in PACKAGES:
        require(package, "serve")
    from headstart.serve.limits import Limits
    from headstart.serve.server import run as serving

    def say(where: str) -> None:
        progress(quiet).say(f"{run} answers at this address, and {where}openapi.json says how; Ctrl-C ends it")
        console().print(where, soft_wrap=True)

    serving(Path(run), host, port, Limits().of(limit), say)
