"""Stored images of many faces in one call."""

from __future__ import annotations

import pytest

from serve_app.domain import ImageStorage, NewCollection, PersonFields
from serve_app.errors import InvalidRequest
from serve_app.gallery import Gallery
from tests.gallery.conftest import new_tenant
from tests.gallery.samples import face


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
