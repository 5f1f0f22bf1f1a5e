"""`medq reembed`: embed the images of a set with another encoder beside the old one, and let its index serve."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.access import Access
from cli.connection import connect
from cli.follow import finish
from cli.options import Json, Out
from cli.output import console, print_json, shown_errors
from medq.embedding.v1 import embedding_pb2, embedding_pb2_grpc
from medq.retrieval.v1 import retrieval_pb2, retrieval_pb2_grpc


def reembed(
    image_set_uri: Annotated[str, typer.Argument(help="`sha256:<hex>` of an image set, as `medq ingest` shows it.")],
    out: Out,
    *,
    encoder: Annotated[str, typer.Option(help="A name of the site's settings, or statistics.")],
    switch: Annotated[
        bool, typer.Option("--switch", help="Then search the pool with this encoder; refused while images are missing.")
    ] = False,
    access: Access,
    is_json: Json = False,
) -> None:
    """Embed a stored image set with another encoder and index it beside the old one, which serves until the switch."""
    name = image_set_uri.removeprefix("sha256:")
    with shown_errors(is_json), connect(out, access) as channels:
        found = embedding_pb2_grpc.EmbeddingServiceStub(channels["embedding"])
        encoder_id = found.GetEncoder(embedding_pb2.GetEncoderRequest(encoder=encoder)).encoder_id
        operation_id = f"reembed/{name[:64]}/{encoder_id}"
        found.StartReembed(
            embedding_pb2.StartReembedRequest(operation_id=operation_id, image_set_uri=image_set_uri, encoder=encoder)
        )
        made = finish(channels["embedding"], operation_id, "reembed", is_quiet=is_json).result_uri
        pool = retrieval_pb2_grpc.RetrievalServiceStub(channels["retrieval"])
        pool.StartIndexImages(retrieval_pb2.StartIndexImagesRequest(operation_id=operation_id, image_set_uri=made))
        finish(channels["retrieval"], operation_id, "index", is_quiet=is_json)
        if switch:
            pool.SwitchEncoder(retrieval_pb2.SwitchEncoderRequest(encoder_id=encoder_id))
        serving = pool.GetPool(retrieval_pb2.GetPoolRequest()).serving_encoder_id
    if is_json:
        print_json({"encoder_id": encoder_id, "image_set_uri": made, "serving_encoder_id": serving})
    else:
        console.print(f"Image set: {made}\nEmbedded by: {encoder_id}\nThe pool is searched by: {serving}")
