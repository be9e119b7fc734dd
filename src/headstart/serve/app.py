"""The routes: a page, and JSON."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from headstart.core.exhibits import Exhibit
from headstart.serve import page
from headstart.serve.about import About
from headstart.serve.answers import Answer, Answers, Error, Health, Told, written
from headstart.serve.limits import Limits, RefusedError
from headstart.serve.queue import Job, Queue
from headstart.serve.uploads import FORMS, Desk, Example, examples, given, values

FORM, JSON = "multipart/form-data", "application/json"
FIELDS = 16  # of a form, beside its files
OFTEN = 0.25  # seconds between two looks whether a client is still there
SAID = "refused; `error` says what was expected, what came and what to do"
REFUSALS = {status: {"model": Error, "description": SAID} for status in (400, 401, 403, 408, 413, 415, 421, 422, 503)}


def _nothing(_: str) -> None:
    """The run keeps no examples."""


@dataclass(frozen=True)
class Service:
    """A run that answers.

    Attributes:
        about: what it says of itself.
        answer: what its model says of examples, in order.
        limits: of requests.
        column: what the model says of the columns that it reads.
        exhibit: what a person sees of a training example, by its name; None where the run keeps nothing of it.
    """

    about: About
    answer: Callable[[Sequence[str | Path]], list[Told]]
    limits: Limits
    column: str | None = None
    exhibit: Callable[[str], Exhibit | None] = _nothing


@dataclass(frozen=True)
class _Open:
    """A service while it runs: the line before its model, and a folder for uploads."""

    service: Service
    queue: Queue[str | Path, Told]
    folder: Path

    async def asked(self, request: Request, *, alone: bool) -> list[Answer]:
        """Read a request, wait in line, and write the answers down."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        job: Job[str | Path, Told] | None = None
        try:
            desk = Desk(folder, self.service.limits, self.service.column)
            there = await _examples(request, self.service.about.modality, desk, alone=alone)
            asked = [one.given for one in there if one.given is not None]
            job = self.queue.put(asked) if asked else None
            told = iter(await self._answered(request, job) if job else ())
            see = self.service.exhibit
            return [written(one, next(told) if one.given is not None else None, see) for one in there]
        finally:
            if job is not None:
                await job.leave()
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _answered(self, request: Request, job: Job[str | Path, Told]) -> list[Told]:
        """The answers, unless they take too long, or the client has gone."""
        seconds, loop = self.service.limits.answer_seconds, asyncio.get_running_loop()
        end = loop.time() + seconds
        while not job.done.done():
            await asyncio.wait([job.done], timeout=OFTEN)
            if job.done.done():
                break
            if await request.is_disconnected():
                raise RefusedError(400, "somebody who waits for the answer", "nobody", "Ask again.")
            if loop.time() > end:
                expected, came = f"an answer within {seconds:g} s", "none yet"
                raise RefusedError(503, expected, came, "Send less at a time, or ask again.", retry=5)
        return job.done.result()


def application(service: Service) -> FastAPI:
    """The routes of a service.

    Args:
        service: that answers. Its model is asked by one thread.
    """
    queue = Queue[str | Path, Told](service.answer, service.limits.waiting)

    @contextlib.asynccontextmanager
    async def running(app: FastAPI) -> AsyncGenerator[None]:
        with tempfile.TemporaryDirectory(prefix="headstart-serve-", ignore_cleanup_errors=True) as folder:
            app.state.open = _Open(service, queue, Path(folder))
            worker = asyncio.create_task(queue.work())
            yield
            worker.cancel()
            queue.close()

    said = service.about.said
    app = FastAPI(
        title="headstart", description=said, lifespan=running, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.exception_handler(RefusedError)(_refused)
    app.exception_handler(HTTPException)(_told)
    app.exception_handler(Exception)(_broken)
    for path, (body, media) in page.files().items():
        app.add_api_route(path, _file(body, media), include_in_schema=False)
    app.add_api_route("/health", _health, summary="Whether it is there", operation_id="health")
    app.add_api_route("/about", _about(service.about), summary="What is served", operation_id="about")
    most = service.limits.examples
    for path, handle, summary in (("predict", _predict, "One example"), ("batch", _batch, f"Up to {most} examples")):
        app.add_api_route(
            f"/{path}", handle, methods=["POST"], summary=summary, operation_id=path, responses={**REFUSALS},
            openapi_extra={"requestBody": _body(service, alone=handle is _predict)},
        )  # fmt: skip
    return app


async def _predict(request: Request) -> Answer:
    """Answer one example; what cannot be read is refused."""
    (found,) = await _running(request).asked(request, alone=True)
    if found.error is not None:
        raise _Bare(found.status, found.error)
    return found


async def _batch(request: Request) -> Answers:
    """Answer examples in order; what cannot be read among others says why. RefusedError where nothing can be read."""
    found = await _running(request).asked(request, alone=False)
    if all(one.error is not None for one in found):
        raise _Bare(max(one.status for one in found), "; ".join(f"{one.name}: {one.error}" for one in found[:3]))
    return Answers(answers=tuple(found))


class _Bare(HTTPException):
    """An error whose line is written already."""


def _running(request: Request) -> _Open:
    return request.app.state.open


async def _health() -> Health:
    """Answered without a token, and says nothing of the run."""
    return Health()


def _about(found: About) -> Callable[[], Awaitable[About]]:
    async def told() -> About:
        """The run: its task, its score, its sources, and what one request may ask."""
        return found

    return told


def _file(body: bytes, media: str) -> Callable[[], Awaitable[Response]]:
    async def told() -> Response:
        return Response(body, media_type=media)

    return told


async def _examples(request: Request, kind: str, desk: Desk, *, alone: bool) -> list[Example]:
    """What a request asks about.

    Raises:
        RefusedError: it asks about nothing, or about more than it may.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == JSON:
        several = _listed(values(await request.body()), alone=alone)
        found = await asyncio.to_thread(given, kind, several, desk, alone=alone)
    else:
        files = await _form(request, desk.limits.examples) if media == FORM else [("", await request.body())]
        files = [one for one in files if one[1]]
        found = await asyncio.to_thread(examples, kind, files, desk, alone=alone)
    if not found or (alone and len(found) > 1):
        do = "Send several to /batch." if found else f"Send {FORMS[kind].says}."
        raise RefusedError(413 if found else 400, "one example" if alone else "examples", str(len(found) or "none"), do)
    return found


def _listed(sent: Any, *, alone: bool) -> list[Any]:
    """The examples in a JSON object."""
    key = "example" if alone else "examples"
    if not isinstance(sent, dict) or sent.keys() != {key}:
        came = f"the keys {', '.join(map(repr, sent))[:100]}" if isinstance(sent, dict) else type(sent).__name__
        raise RefusedError(422, f'an object with the key "{key}"', came, "See /openapi.json for what is taken.")
    if not alone and not isinstance(sent[key], list):
        raise RefusedError(422, 'a list under "examples"', type(sent[key]).__name__, "Send one to /predict.")
    return [sent[key]] if alone else sent[key]


async def _form(request: Request, most: int) -> list[tuple[str, bytes]]:
    """The files of a form: names, which are only said back, and contents.

    Raises:
        RefusedError: it cannot be read, or has too many.
    """
    try:
        async with request.form(max_files=most, max_fields=FIELDS, max_part_size=1) as form:
            sent = [one for _, one in form.multi_items() if not isinstance(one, str)]
            return [(one.filename or "", await one.read()) for one in sent]
    except HTTPException as error:
        if error.detail.startswith("Too many"):
            raise RefusedError(413, f"a form with at most {most} files", "more", "Send several requests.") from None
        came = error.detail.rstrip(".")
        raise RefusedError(400, FORM, came, "Send each file as a part with a file name.") from None


def _body(service: Service, *, alone: bool) -> dict[str, Any]:
    """What may be sent, as OpenAPI says it."""
    form = FORMS[service.about.modality]
    content: dict[str, Any] = {}
    if form.value is not None:
        one = {"example": dict(form.schema)}
        several = {"examples": {"type": "array", "items": dict(form.schema), "maxItems": service.limits.examples}}
        properties = one if alone else several
        content[JSON] = {"schema": {"type": "object", "properties": properties, "required": [*properties]}}
    if form.media:
        file = {"type": "string", "format": "binary"}
        content[FORM] = {"schema": {"type": "object", "properties": {"file": file if alone else
                                                                      {"type": "array", "items": file}}}}  # fmt: skip
        content["application/octet-stream"] = {"schema": file}
    return {"required": True, "description": form.says, "content": content}


def _error(status: int, line: str, retry: int | None = None) -> JSONResponse:
    headers = None if retry is None else {"retry-after": str(retry)}
    return JSONResponse({"error": line}, status, headers)


async def _refused(_: Request, error: Any) -> JSONResponse:
    return _error(error.status, error.line, error.retry)


async def _told(request: Request, error: Any) -> JSONResponse:
    if isinstance(error, _Bare):
        return _error(error.status_code, error.detail)
    asked = f"{request.method} {request.url.path[:100]}"
    return _error(error.status_code, f"expected a route of this server, got {asked}. See /openapi.json for all.")


async def _broken(_: Request, __: Any) -> JSONResponse:
    return _error(500, "expected an answer, got a bug of the server. Ask whoever runs it: its log says more.")
