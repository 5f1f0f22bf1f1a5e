import numpy as np
import pytest

from services.evaluation.domain.clustering import Clustering, cluster_failures
from services.evaluation.domain.prototypes import prototypes
from shared.errors import InvalidArgument
from shared.rows.benchmark import Item
from tests.support.rows import build, image_id


def failed(item_id, image):
    return build(Item, item_id=item_id, image_id=image_id(image))


def test_prototype_has_the_visual_centroid_members_images_and_profile():
    visual = np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    items = [failed("e", "i1"), failed("d", "i2"), failed("c", "i1"), failed("b", "i3"), failed("a", "i3")]
    cells = ["ct+blur", "ct", "ct+blur", "mri", "mri"]
    clustering = Clustering(np.array([0, 0, 0, 1, 1]), 2, {})
    (first, second), centroids = prototypes(clustering, visual, items, cells)
    assert (first.prototype_id, second.prototype_id) == ("p000", "p001")
    assert (first.members, first.size) == (("c", "d", "e"), 3)
    assert first.image_ids == tuple(sorted((image_id("i1"), image_id("i2"))))
    assert first.profile == pytest.approx({"ct": 1 / 3, "ct+blur": 2 / 3})
    assert second.profile == {"mri": 1.0}
    np.testing.assert_allclose(centroids[0], np.array([2, 1]) / np.sqrt(5), rtol=1e-6)


def test_visual_vectors_that_cancel_out_leave_the_first_members():
    visual = np.array([[1.0, 0.0], [-1.0, 0.0]])
    items = [failed("a", "i"), failed("b", "j")]
    _, centroids = prototypes(Clustering(np.array([0, 0]), 1, {}), visual, items, ["ct", "ct"])
    assert centroids.tolist() == [[1, 0]]


def test_no_clusters_have_no_prototypes():
    found, centroids = prototypes(cluster_failures(np.zeros((0, 4))), np.zeros((0, 4)), [], [])
    assert (found, centroids.shape) == ([], (0, 4))


def test_prototypes_need_one_vector_a_failure():
    with pytest.raises(InvalidArgument):
        prototypes(Clustering(np.array([0]), 1, {}), np.zeros((0, 2)), [failed("a", "i")], ["ct"])
