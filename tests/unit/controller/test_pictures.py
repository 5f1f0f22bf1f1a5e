from services.controller.report.pictures import NO_ROOM, NOT_STORED, Pictures
from shared.objects.folder import FolderObjectStore
from tests.support.loop_services import put_image


def stored(folder):
    objects = FolderObjectStore(folder)
    return objects, put_image(objects).removeprefix("sha256:")


def test_a_picture_is_inside_the_page(tmp_path):
    objects, image_id = stored(tmp_path)
    assert Pictures(objects, [])(image_id).startswith("data:image/png;base64,")


def test_an_image_that_is_not_stored_takes_no_room_and_says_so(tmp_path):
    objects, image_id = stored(tmp_path)
    pictures = Pictures(objects, [])
    assert (pictures("0" * 64), pictures.missing, pictures.is_full) == ("", NOT_STORED, False)
    assert pictures(image_id)


def test_no_more_pictures_are_shown_than_there_is_room_for(tmp_path):
    objects, image_id = stored(tmp_path)
    size = len(Pictures(objects, [])(image_id))
    pictures = Pictures(objects, [], most_characters=2 * size)
    assert [bool(pictures(image_id)) for _ in range(4)] == [True, True, False, False]
    assert pictures.is_full
    assert pictures.missing == NO_ROOM


def test_the_first_images_have_room_before_all_others(tmp_path):
    objects, image_id = stored(tmp_path)
    size = len(Pictures(objects, [])(image_id))
    pictures = Pictures(objects, [image_id], most_characters=size)
    assert pictures(image_id)
    assert not pictures.is_full
