"""Shapes of requests and answers, for the OpenAPI document."""

from typing import Any

from pydantic import BaseModel, Field

from roadclear.deploy.serve.settings import MAX_PHOTOS


class ErrorBody(BaseModel):
    """Why a request got no answer."""

    error: str = Field(description="What was expected and what was found, in one sentence.")


class ModelBody(BaseModel):
    """The model that answered."""

    positive: str = Field(description="Label whose probability is given.")
    negative: str = Field(description="The other label.")
    threshold: float = Field(ge=0, le=1, description="Least probability of the positive label.")
    size: int = Field(description="Side in pixels of the square that the model sees.")
    sha256: str = Field(description="SHA-256 of the model file, in hex.")


class MapBody(BaseModel):
    """What each place of a photo adds to the log-odds. The values and the offset add up to the logit."""

    values: list[list[float]] = Field(description="Rows from top to bottom, each from left to right.")
    offset: float = Field(description="What no place adds.")
    logit: float = Field(description="Log-odds of the positive label.")


class PhotoBody(BaseModel):
    """Answer to one photo, or the reason why the photo has none."""

    name: str | None = Field(None, description="File name that the client gave.")
    answer: str | None = Field(None, description="The label, or `unsure`.")
    label: str | None = Field(None, description="The label, also of an unsure answer.")
    probability: float | None = Field(None, ge=0, le=1, description="Probability of the positive label.")
    unsure: bool | None = Field(None, description="Whether the probability is too near the threshold.")
    unfamiliar: bool | None = Field(None, description="Whether the photo is unlike the training photos.")
    distance: float | None = Field(None, description="Distance to the training photos, 0 to 2.")
    map: MapBody | None = Field(None, description="What each place adds, where it was asked for.")
    error: str | None = Field(None, description="Why the photo cannot be used.")


class PredictBody(BaseModel):
    """Answers to the photos of a request, in their order."""

    model: ModelBody
    photos: list[PhotoBody]


class ReadyBody(BaseModel):
    """Whether the server takes requests."""

    ready: bool


class LiveBody(BaseModel):
    """Whether the server runs."""

    live: bool


class ServerBody(BaseModel):
    """The server, by the Open Inference Protocol."""

    name: str
    version: str
    extensions: list[str]


class TensorBody(BaseModel):
    """A tensor of the model."""

    name: str
    datatype: str
    shape: list[int] = Field(description="-1 stands for the number of photos.")
    parameters: dict[str, str] | None = None


class MetadataBody(BaseModel):
    """The model, by the Open Inference Protocol."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorBody]
    outputs: list[TensorBody]


class ModelReadyBody(BaseModel):
    """Whether the model takes requests."""

    name: str
    ready: bool


MULTIPART = {
    "type": "object",
    "properties": {
        "photos": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "minItems": 1,
            "maxItems": MAX_PHOTOS,
            "description": "Image files. The name of the field does not matter.",
        }
    },
    "required": ["photos"],
}

BINARY = {"type": "string", "format": "binary"}

_PARAMETERS = {"type": "object", "additionalProperties": True}

INFER = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "parameters": _PARAMETERS,
        "inputs": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "shape", "datatype"],
                "properties": {
                    "name": {"const": "photo"},
                    "shape": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 4},
                    "datatype": {"enum": ["UINT8", "BYTES"]},
                    "parameters": _PARAMETERS,
                    "data": {"type": "array"},
                },
            },
        },
        "outputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "parameters": _PARAMETERS},
            },
        },
    },
}

BODY_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The body is damaged, or breaks the protocol."},
    408: {"model": ErrorBody, "description": "The body did not come in time."},
    413: {"model": ErrorBody, "description": "The body is too large."},
    415: {"model": ErrorBody, "description": "The body is packed in an unknown way."},
    503: {"model": ErrorBody, "description": "The queue is full. `Retry-After` says when there is probably room."},
    504: {"model": ErrorBody, "description": "The deadline passed."},
}
GUARDED: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorBody, "description": "The key is missing or wrong."},
    403: {"model": ErrorBody, "description": "A page of another origin asked."},
    421: {"model": ErrorBody, "description": "The host name is not known here."},
}
