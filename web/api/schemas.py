"""The OpenAPI document: the schemas of its messages are made from the descriptors of the protos."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

Json = dict[str, Any]
_REF = "#/components/schemas/"
_PROBLEM = "Problem"
#: Messages that the JSON mapping writes in a form of their own.
_WELL_KNOWN: dict[str, Json] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": "^-?[0-9]+([.][0-9]+)?s$"},
}
_SCALARS: dict[str, Json] = {
    "int": {"type": "integer", "format": "int32"},
    "long": {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"},
    "float": {"type": "number", "format": "double"},
    "bool": {"type": "boolean"},
    "string": {"type": "string"},
    "bytes": {"type": "string", "format": "byte"},
}
_KINDS = {
    FieldDescriptor.TYPE_DOUBLE: "float",
    FieldDescriptor.TYPE_FLOAT: "float",
    FieldDescriptor.TYPE_INT64: "long",
    FieldDescriptor.TYPE_UINT64: "long",
    FieldDescriptor.TYPE_INT32: "int",
    FieldDescriptor.TYPE_UINT32: "int",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
}
#: An error, RFC 9457: what `web.errors.problem` makes.
_PROBLEM_SCHEMA: Json = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string", "description": "The kind of the error: INVALID_ARGUMENT, NOT_FOUND, ..."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence for a person."},
        "field": {"type": "string"},
        "value": {"type": "string"},
        "remedy": {"type": "string"},
    },
}


def answers(cls: type[Message]) -> dict[int | str, Json]:
    """The responses of a route that answers a message: the message, or a problem."""
    problem = {"application/problem+json": {"schema": {"$ref": _REF + _PROBLEM}}}
    return {
        200: {"description": cls.DESCRIPTOR.name, "content": {"application/json": {"schema": _ref(cls.DESCRIPTOR)}}},
        "default": {"description": "What is wrong, and what to do about it.", "content": problem},
    }


def asks(cls: type[Message]) -> Json:
    """What a route says of its body where that is a message."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": _ref(cls.DESCRIPTOR)}}}}


def describe(app: FastAPI, *messages: type[Message]) -> None:
    """Have an app give an OpenAPI document in which these messages stand, with all that they hold."""

    @cache
    def document() -> Json:
        made = get_openapi(title=app.title, version=app.version, routes=app.routes)
        components = made.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        schemas[_PROBLEM] = _PROBLEM_SCHEMA
        for cls in messages:
            schemas.update(_schemas(cls.DESCRIPTOR))
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"token": []}]
        return made

    app.openapi = document  # type: ignore[method-assign]


def _schemas(message: Any) -> Iterator[tuple[str, Json]]:
    """A message, by its descriptor, and, recursively, those of its fields; no proto of the product holds itself."""
    fields = {field.name: _field(field) for field in message.fields}
    required = [field.name for field in message.fields if not field.has_presence]
    yield message.full_name, {"type": "object", "properties": fields, **({"required": required} if required else {})}
    for field in message.fields:
        held = _value(field).message_type if _is_map(field) else field.message_type
        if held is not None and held.full_name not in _WELL_KNOWN:
            yield from _schemas(held)


def _field(field: FieldDescriptor) -> Json:
    if _is_map(field):
        return {"type": "object", "additionalProperties": _one(_value(field))}
    return {"type": "array", "items": _one(field)} if field.is_repeated else _one(field)


def _one(field: FieldDescriptor) -> Json:
    if field.message_type is not None:
        return _WELL_KNOWN.get(field.message_type.full_name) or _ref(field.message_type)
    if field.enum_type is not None:
        return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    return _SCALARS[_KINDS[field.type]]


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _value(field: FieldDescriptor) -> FieldDescriptor:
    """What the entries of a map hold."""
    found: FieldDescriptor = field.message_type.fields_by_name["value"]  # type: ignore[union-attr]
    return found


def _ref(message: Any) -> Json:
    return {"$ref": _REF + message.full_name}
