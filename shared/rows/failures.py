"""Kind `failures`: where a model fails (Eq. 1 of the paper) and the failure prototypes (section 2.2)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from shared.rows.fields import Count, ImageId, Row, Share

CapabilityName = Annotated[str, Meta(description="`axis:value`, such as `modality:mri`", min_length=3)]
PrototypeId = Annotated[str, Meta(description="`p000` is the largest cluster", min_length=1)]


class Failure(Row):
    """An item that the model fails: its error rate is above gamma."""

    item_id: str
    error_rate: Annotated[Share, Meta(description="wrong / scored runs")]
    n_scored: Count
    capabilities: tuple[CapabilityName, ...]
    prototype_id: PrototypeId


class CapabilityErrorRate(Row):
    """One component e_k of Eq. 1."""

    capability: CapabilityName
    n_failures: Annotated[int, Meta(ge=0, description="|{b in B : c_k(b) = 1}|")]
    n_items: Annotated[int, Meta(ge=0, description="|{s in D_dev : c_k(s) = 1}|, the UNSCORED left out")]
    n_unscored: Annotated[int, Meta(ge=0, description="items of this capability that are UNSCORED")]
    error_rate: Annotated[
        Share | None, Meta(description="e_k = n_failures / n_items; null where every item is UNSCORED")
    ]


class PrototypeRow(Row):
    """A failure prototype; its vector is the same row of `prototypes.npy`."""

    prototype_id: PrototypeId
    members: Annotated[tuple[str, ...], Meta(description="item ids, sorted")]
    image_ids: Annotated[tuple[ImageId, ...], Meta(description="their images, sorted, each once")]
    profile: Annotated[dict[str, Share], Meta(description="capability to the share of members that carry it")]
    size: Annotated[int, Meta(ge=1, description="number of members")]


class ClusteringRow(Row):
    """How many clusters, and why."""

    n_clusters: Count
    silhouettes: Annotated[dict[str, float], Meta(description="number of clusters to mean silhouette, -1..1")]
