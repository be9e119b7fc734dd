"""`headstart`: the commands, and what an error becomes: two lines and a status, or a traceback when it is a bug."""

import difflib
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from headstart.cli import (
    advise,
    bench,
    cache,
    compare,
    completion,
    explore,
    export,
    fit,
    plan,
    predict,
    pretrain,
    report,
    serve,
    sources,
    verify,
    words,
)
from headstart.cli.output import complain
from headstart.core.errors import HeadstartError, unknown_name

# typer exports this one of the parser's exceptions; its parent covers missing, unknown and surplus arguments as well
_UsageError: Any = typer.BadParameter.__mro__[1]
_INTERRUPTED = 130
_BEGUN = {  # commands that do not go on
    "predict": "interrupted; with --out, what was answered so far is in the file that ends in .part",
    "export": "interrupted; nothing was written",
    "serve": "interrupted",
}


class _Group(TyperGroup):
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands:
            raise unknown_name("command", args[0], self.commands)
        return super().resolve_command(ctx, args)


def _app(summary: str, *, root: bool = False) -> typer.Typer:
    return typer.Typer(cls=_Group, help=summary, add_completion=root, pretty_exceptions_enable=False)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version("headstart")
        except PackageNotFoundError:
            found = "unknown: run from source, not installed"
        sys.stdout.write(f"headstart {found}\n")
        raise typer.Exit


app = _app(
    "Find out whether, what and how to transfer from a pre-trained model to your data, do it, and show the proof.",
    root=True,
)


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True, show_default=False)
    ] = False,
) -> None:
    pass


app.command("fit")(fit.fit)
app.command("advise")(advise.advise)
app.command("compare")(compare.compare)
app.command("explore")(explore.explore)
app.command("pretrain")(pretrain.pretrain)
app.command("predict")(predict.predict)
app.command("serve")(serve.serve)
app.command("export")(export.export)
app.command("report")(report.report)
app.command("verify")(verify.verify)
app.command("bench")(bench.bench)
_sources = _app("What can be transferred from.")
_sources.command("list")(sources.list_)
_sources.command("show")(sources.show)
_sources.command("fetch")(sources.fetch)
_sources.command("add")(sources.add)
_sources.command("doctor")(sources.doctor)
app.add_typer(_sources, name="sources")
_words = _app("Word vectors: neighbours, analogies, and a table extended by a corpus.")
_words.command("near")(words.near)
_words.command("analogy")(words.analogy)
_words.command("extend")(words.extend)
app.add_typer(_words, name="words")
_plan = _app("What a strategy does to a source.")
_plan.command("show")(plan.show)
_plan.command("diff")(plan.diff)
app.add_typer(_plan, name="plan")
_cache = _app("The cache of weights and features.")
_cache.command("info")(cache.info)
_cache.command("clear")(cache.clear)
app.add_typer(_cache, name="cache")


def _explain(error: Any) -> str:
    """A parsing error in our words: two lines, with did-you-mean for options."""
    context = error.ctx
    path = context.command_path if context is not None else "headstart"
    name = getattr(error, "option_name", None)
    if name is not None and hasattr(error, "possibilities"):
        known = [o for p in context.command.params for o in p.opts] if context is not None else []
        return f"expected an option of {path}, got {name}\n{_near(name, known) or f'See: {path} --help'}"
    return f"{error.format_message()}\nSee: {path} --help"


def _near(name: str, known: Sequence[str]) -> str:
    bare = {option.lstrip("-"): option for option in known}  # the dashes alone would make everything look alike
    near = difflib.get_close_matches(name.lstrip("-"), bare, n=2, cutoff=0.6)
    return f"Did you mean {' or '.join(bare[n] for n in near)}?" if near else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Args:
        arguments: those after the program's name; None reads the command line.

    Returns:
        0; 1 when `verify` found a difference, `predict` could not read some of the files, or `sources fetch` got
        nothing; 2 after a user's mistake; 130 when interrupted. Anything unexpected is raised: a traceback, and 1.
    """
    asked = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        with completion.whole_words():
            status = typer.main.get_command(app).main(args=asked, prog_name="headstart", standalone_mode=False)
    except HeadstartError as error:
        complain(str(error))
        return 2
    except _UsageError as error:
        complain(_explain(error))
        return 2
    except (KeyboardInterrupt, typer.Abort):
        status = _INTERRUPTED
    if status == _INTERRUPTED:  # the parser turns Ctrl-C into this status
        complain(_BEGUN.get(asked[0], "interrupted; the same command goes on from the last finished piece of work"))
    return status if isinstance(status, int) else 0
