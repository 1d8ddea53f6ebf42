"""Stored images: of many faces in one call, and erased with their faces."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.domain import DEFAULT_TENANT, ImageStorage, NewCollection, PersonFields
from serve_app.errors import InvalidRequest
from serve_app.gallery import Gallery
from tests.gallery.conftest import new_tenant
from tests.gallery.samples import face
from tests.gallery.stores import check_consistent, in_memory


def test_every_kind_of_image_is_erased_with_its_face(tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        gallery.create_collection(DEFAULT_TENANT, NewCollection("staff"))
        stored = [
            face(1, storage=ImageStorage.FULL, thumbnail=None, photograph=b"photograph"),
            face(2, storage=ImageStorage.FULL, photograph=b"photograph"),
            face(3),
            face(4, storage=ImageStorage.NONE, thumbnail=None),
        ]
        for number, new in enumerate(stored):
            gallery.put_person(DEFAULT_TENANT, f"p{number}", ["staff"], PersonFields(), [new])
        assert gallery._blobs.count(DEFAULT_TENANT) == 4
        for number, left in enumerate((3, 1, 0, 0)):
            gallery.delete_person(DEFAULT_TENANT, f"p{number}")
            assert gallery._blobs.count(DEFAULT_TENANT) == left
        check_consistent(gallery)


def test_images_come_in_the_order_of_the_ids(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    new = [
        face(1, storage=ImageStorage.FULL, thumbnail=b"first", photograph=b"photo"),
        face(2, storage=ImageStorage.NONE, thumbnail=None),
        face(3, thumbnail=b"third"),
    ]
    first, bare, third = (stored.id for stored in gallery.put_person(tenant, "p", ["staff"], PersonFields(), new).faces)
    wanted = [third, "0" * 32, first, bare, "../../etc/passwd", third]
    assert gallery.face_images(tenant, wanted, "thumbnail") == (b"third", None, b"first", None, None, b"third")
    assert gallery.face_images(tenant, wanted, "photograph") == (None, None, b"photo", None, None, None)
    assert gallery.face_images(tenant, [], "thumbnail") == ()
    assert gallery.face_images(new_tenant(gallery), wanted, "thumbnail") == (None,) * 6
    with pytest.raises(InvalidRequest):
        gallery.face_images(tenant, [first] * 1001, "thumbnail")
