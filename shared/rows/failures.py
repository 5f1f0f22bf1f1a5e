"""Kind `failures`: where a model fails (Eq. 1 of the paper) and the failure prototypes (section 2.2)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from shared.rows.fields import Count, ImageId, Row, Share, written

CapabilityName = Annotated[
    str,
    Meta(
        description="`axis:value`, or a cell: several joined by `+`, as `modality:mri+attribute:motion`", min_length=3
    ),
]
PrototypeId = Annotated[str, Meta(description="`p000` is the largest cluster", min_length=1)]


class Failure(Row):
    """An item that the model fails: its error rate is above gamma."""

    item_id: str
    error_rate: Annotated[Share, Meta(description="(wrong + unreadable) / evaluated runs")]
    n_scored: Annotated[int, Meta(ge=0, description="runs in which a letter was read")]
    capabilities: Annotated[tuple[CapabilityName, ...], Meta(description="its cell, then its labels on every axis")]
    prototype_id: PrototypeId


class CapabilityErrorRate(Row):
    """One component e_k of Eq. 1; `capability` and `is_drawn_for` together are its key."""

    capability: CapabilityName
    n_failures: Annotated[int, Meta(ge=0, description="|{b in B : c_k(b) = 1}|")]
    n_items: Annotated[int, Meta(ge=0, description="|{s in D_dev : c_k(s) = 1}|, the UNSCORED left out")]
    n_unscored: Annotated[
        int, Meta(ge=0, description="items of this capability of which we could evaluate fewer than half of the runs")
    ]
    error_rate: Annotated[
        Share | None, Meta(description="e_k = n_failures / n_items; null where every item is UNSCORED")
    ]
    is_drawn_for: Annotated[
        bool, Meta(description="a cell, which images are drawn for; false: a single label, which is only reported")
    ] = written(True)


class Anchor(Row):
    """A development image that was evaluated; its vector is the same row of `anchors.npy`."""

    image_id: ImageId
    is_failure: Annotated[
        bool | None, Meta(description="some item about it is a failure; false: none is; null: all are UNSCORED")
    ]
    capabilities: Annotated[
        dict[CapabilityName, Count],
        Meta(description="cell to the number of failed items about it; empty where none failed"),
    ]


class PrototypeRow(Row):
    """A failure prototype; its vector is the same row of `prototypes.npy`."""

    prototype_id: PrototypeId
    members: Annotated[tuple[str, ...], Meta(description="item ids, sorted")]
    image_ids: Annotated[tuple[ImageId, ...], Meta(description="their images, sorted, each once")]
    profile: Annotated[dict[str, Share], Meta(description="cell to the share of members in it")]
    size: Annotated[int, Meta(ge=1, description="number of members")]


class ClusteringRow(Row):
    """How many clusters, and why."""

    n_clusters: Count
    silhouettes: Annotated[dict[str, float], Meta(description="number of clusters to mean silhouette, -1..1")]
