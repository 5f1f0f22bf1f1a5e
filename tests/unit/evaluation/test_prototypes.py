import numpy as np
import pytest

from services.evaluation.domain.clustering import Clustering, cluster_failures
from services.evaluation.domain.prototypes import prototypes
from shared.errors import InvalidArgument


def test_prototype_has_the_visual_centroid_members_images_and_profile():
    visual = np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    found = prototypes(
        Clustering(np.array([0, 0, 0, 1, 1]), 2, {}),
        visual,
        ["e", "d", "c", "b", "a"],
        ["i1", "i2", "i1", "i3", "i3"],
        [["m:x", "q:a"], ["m:x"], ["m:y", "q:a"], ["m:y"], ["m:y"]],
    )
    assert [p.prototype_id for p in found] == ["p000", "p001"]
    assert (found[0].members, found[0].image_ids) == (("c", "d", "e"), ("i1", "i2"))
    assert found[0].profile == pytest.approx({"m:x": 2 / 3, "m:y": 1 / 3, "q:a": 2 / 3})
    np.testing.assert_allclose(found[0].visual, np.array([2, 1]) / np.sqrt(5), rtol=1e-6)
    assert found[1].profile == {"m:y": 1.0}


def test_visual_vectors_that_cancel_out_leave_the_first_members():
    visual = np.array([[1.0, 0.0], [-1.0, 0.0]])
    (only,) = prototypes(Clustering(np.array([0, 0]), 1, {}), visual, ["a", "b"], ["i", "j"], [[], []])
    assert only.visual.tolist() == [1, 0]


def test_no_clusters_have_no_prototypes():
    assert prototypes(cluster_failures(np.zeros((0, 4))), np.zeros((0, 4)), [], [], []) == ()


def test_prototypes_need_one_vector_a_failure():
    with pytest.raises(InvalidArgument):
        prototypes(Clustering(np.array([0]), 1, {}), np.zeros((0, 2)), ["a"], ["i"], [[]])
