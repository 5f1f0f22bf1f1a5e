from cli.commands.lineage import _cause
from medq.controller.v1 import controller_pb2 as pb


def told(kind="new", **cause):
    return _cause(pb.SampleLineage(kind=kind, cause=pb.Cause(**cause)))


def test_what_a_score_drew_is_told_with_it_and_is_no_random_draw():
    assert told(strategy="novelty", score=0.25) == "by novelty, score 0.250"
    assert told(strategy="k_centre", score=0.0) == "by k_centre, score 0.000"


def test_a_random_draw_and_a_replayed_item_have_no_cause():
    assert told(strategy="random") == "at random: no error caused it"
    assert told("replay").startswith("not at all")
