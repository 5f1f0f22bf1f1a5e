from services.controller.configuration.check import check
from services.controller.configuration.notes import notes_on, source_sizes
from tests.support.run_files import write_run_files


def test_sources_are_counted_as_the_import_names_them(tmp_path):
    table = tmp_path / "dev.tsv"
    rows = ["a.png\ts1\tp1", "b.png\ts1\tp2", "c.png\t\tp2", "d.png\t\t", "d.png\t\t"]
    table.write_text("image_path\tsource_id\tpatient_id\n" + "\n".join(rows) + "\n")
    assert source_sizes(table) == [2, 2, 1]


def test_descriptions_do_not_count_for_what_the_dev_set_can_tell(tmp_path):
    (tmp_path / "dev.tsv").write_text(
        "index\tsource_id\tA\tdescription\n1\ts1\tYes\t\n2\ts1\tYes\tSharp.\n3\ts2\t\tSharp.\n"
    )
    assert source_sizes(tmp_path / "dev.tsv") == [2]


def test_a_table_that_is_no_text_gives_no_note(tmp_path):
    (tmp_path / "dev.tsv").write_bytes(b"image_path\n\xff\n")
    assert source_sizes(tmp_path / "dev.tsv") == []


def test_a_run_is_told_what_its_dev_set_can_tell(tmp_path):
    text = write_run_files(tmp_path)
    (tmp_path / "dev.tsv").write_text(
        "index\timage_path\tquestion\tA\tB\tanswer\tmodality\n"
        + "".join(f"{n}\t{n}.png\tIs it sharp?\tYes\tNo\tA\tmri\n" for n in range(40))
    )
    configuration, _ = check(text, str(tmp_path))
    (note,) = notes_on(configuration)
    assert "40 items of 40 sources, 2 answers each" in note
    assert "stop.excluded_gain" in note


def test_an_arm_whose_new_samples_leave_no_place_for_replay_is_named(tmp_path):
    text = write_run_files(
        tmp_path,
        data={name: name if name == "pool" else f"{name}.tsv" for name in ("pool", "pool_answers", "dev", "test")}
        | {"replay": "dev.tsv"},
        select={"budget": 20},
        build={"total_samples": 60},
        arms=["random", {"name": "random_2x", "select": {"budget": 40}}],
    )
    configuration, problems = check(text, str(tmp_path))
    assert not problems
    (note,) = [note for note in notes_on(configuration) if "total_samples" in note]
    assert "In arm random_2x, build.total_samples is 60" in note
    assert "is 120 (descriptions come on top): where so many are kept, nothing is replayed" in note
