"""Who may open a WebSocket, and what may be said on it."""

import json
import re

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import authorizer, messages
from wit_world.imports import log, request
from wit_world.imports.types import EditOperation, Field, FieldEdit, LocalReply, Variable

NOTHING = re.compile(rb"(?!)")


class State:
    """One instance's: instances serve many requests, one at a time."""

    # What each known origin is answered with: made once.
    origins: dict[bytes, authorizer.Verdict] = {}
    words: re.Pattern[bytes] = NOTHING
    banned: re.Pattern[bytes] = NOTHING
    patience = 3
    # How many words of each open tunnel's client were filtered.
    filtered: dict[int, int] = {}


def pattern(words: list[bytes]) -> re.Pattern[bytes]:
    # On bytes, IGNORECASE is about ASCII only.
    return re.compile(b"|".join(map(re.escape, words)), re.IGNORECASE) if words else NOTHING


class Lifecycle(exports.Lifecycle):
    def configure(self, document: str) -> None:
        config = json.loads(document)

        def strings(name: str) -> list[bytes]:
            for i, item in enumerate(config.get(name, [])):
                if not item:
                    raise Err(f"/{name}/{i}: must not be empty")
            return [item.encode() for item in config.get(name, [])]

        State.origins = {origin: grant(origin) for origin in strings("origins")}
        State.words = pattern(strings("words"))
        State.banned = pattern(strings("banned"))
        State.patience = config.get("patience", 3)


def deny(why: str) -> authorizer.Verdict:
    return authorizer.Verdict_Deny(LocalReply(403, [Field("content-type", b"text/plain")], why.encode()))


def grant(origin: bytes) -> authorizer.Verdict:
    return authorizer.Verdict_Grant(
        authorizer.Grant(
            variables=[Variable("visitor_origin", origin.decode())],
            edits=[
                FieldEdit(EditOperation.SET, "x-checked-by", b"python"),
                FieldEdit(EditOperation.REMOVE, "x-internal", b""),
            ],
        )
    )


class Authorizer(exports.Authorizer):
    def authorize(self) -> authorizer.Verdict:
        origin = request.get("origin")
        if origin is None:
            return deny("origin missing\n")
        return State.origins.get(origin) or deny("origin not allowed\n")


class Messages(exports.Messages):
    def open(self, tunnel: int) -> messages.Subscription | None:
        State.filtered[tunnel] = 0
        text = messages.Interest.TEXT_TO_UPSTREAM | messages.Interest.TEXT_TO_CLIENT
        return messages.Subscription(text, None)

    def on_message(self, tunnel: int, message: messages.Message, data: bytes) -> messages.Verdict:
        of_client = message.way == messages.Way.TO_UPSTREAM
        if of_client and data == b"/count":
            said = f"filtered: {State.filtered[tunnel]}".encode()
            return messages.Verdict_Inject(
                messages.Injection([messages.Outgoing(messages.Way.TO_CLIENT, True, said)], False)
            )
        drop = State.banned.search(data) is not None
        masked, found = State.words.subn(lambda word: b"*" * len(word[0]), data)
        found = 1 if drop else found
        if found == 0:
            return messages.Verdict_Pass()
        if of_client:
            State.filtered[tunnel] += found
            if State.filtered[tunnel] > State.patience:
                log.write(log.Level.WARN, "a client was shown out")
                return messages.Verdict_Close(messages.Closing(1008, "mind your words"))
        return messages.Verdict_Drop() if drop else messages.Verdict_Replace(masked)

    def close(self, tunnel: int) -> None:
        State.filtered.pop(tunnel, None)
