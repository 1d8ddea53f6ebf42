"""Bodies that are cheap to send and were dear to refuse, in every wire format: bytes, and who may send them where."""

from __future__ import annotations

from typing import NamedTuple

JSON, URLENCODED, LINES = "application/json", "application/x-www-form-urlencoded", "application/x-ndjson"
FORM = "multipart/form-data; boundary=b"

PERSON = "PUT /v1/collections/staff/persons/p"
SEARCH = "POST /v1/search"
BULK = "POST /v1/collections/staff/bulk"


class Costly(NamedTuple):
    """A request. ``operation`` is a method and a path; ``role`` empty: no key is sent."""

    operation: str
    role: str
    kind: str
    body: bytes


def costly(n: int) -> dict[str, Costly]:
    """Requests with bodies of about ``n`` bytes."""
    half = n // 2
    names = b",".join(b'"%x":0' % i for i in range(n // 10))
    field = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
    head = b'--b\r\nContent-Disposition: form-data; name="f"%s\r\n\r\n'
    end = b"\r\n--b--\r\n"
    picture = b'{"collections": ["staff"], "image_base64": "%s"}'
    return {
        "reject, a text of commas": Costly(PERSON, "enroll", JSON, b'{"reject":"' + b"x," * half + b'"}'),
        "reject, wrong codes": Costly(PERSON, "enroll", JSON, b'{"reject":[' + b'"x",' * (n // 4) + b'"x"]}'),
        "image_base64, numbers": Costly(PERSON, "enroll", JSON, b'{"image_base64":[' + b"0," * half + b"0]}"),
        "image_url, empty texts": Costly(PERSON, "enroll", JSON, b'{"image_url":[' + b'"",' * (n // 3) + b'""]}'),
        "metadata of numbers": Costly(PERSON, "enroll", JSON, b'{"metadata":{' + names + b"}}"),
        "metadata, nested": Costly(PERSON, "enroll", JSON, b'{"metadata":' + b'{"a":' * (n // 5) + b"}}"),
        "metadata, a JSON text": Costly(
            PERSON, "enroll", JSON, b'{"metadata":"{' + names.replace(b'"', b'\\"') + b'}"}'
        ),
        "consent, unknown fields": Costly(PERSON, "enroll", JSON, b'{"consent":{' + names + b"}}"),
        "notes, one long text": Costly(PERSON, "enroll", JSON, b'{"notes":"' + b"a" * n + b'"}'),
        "names of commas": Costly(PERSON, "enroll", JSON, b'{"name":"' + b"[,{" * (n // 3) + b'"}'),
        "unknown fields": Costly(SEARCH, "search", JSON, b"{" + names + b"}"),
        "one long unknown field": Costly(SEARCH, "search", JSON, b'{"' + b"a" * n + b'": 0}'),
        "brackets": Costly(SEARCH, "search", JSON, b"[" * n),
        "empty lists": Costly(SEARCH, "search", JSON, b"[" + b"[]," * (n // 3) + b"[]]"),
        "quotation marks": Costly(SEARCH, "search", JSON, b'{"":' + b'""' * half),
        "collections, numbers": Costly(SEARCH, "search", JSON, b'{"collections":[' + b"0," * half + b"0]}"),
        "tags, numbers": Costly("POST /v1/collections", "admin", JSON, b'{"tags":[' + b"0," * half + b"0]}"),
        "a receipt, numbers": Costly(
            "POST /v1/receipts/check", "enroll", JSON, b'{"statement":{"persons":[' + b"0," * half + b"0]}}"
        ),
        "base64, blanks before a comma": Costly(SEARCH, "search", JSON, picture % (b" " * n + b",")),
        "base64, other letters": Costly(SEARCH, "search", JSON, picture % ("é".encode() * half)),
        "base64, percent-encoded": Costly(SEARCH, "search", JSON, picture % (b"%41" * (n // 3))),
        "base64, percent-encoded letters": Costly(SEARCH, "search", JSON, picture % (b"%C3%A9" * (n // 6))),
        "a form, reject": Costly(PERSON, "enroll", FORM, field % b"reject" + b"x," * half + end),
        "a form, metadata": Costly(PERSON, "enroll", FORM, field % b"metadata" + b"{" + names + b"}" + end),
        "a form, collections as JSON": Costly(
            SEARCH, "search", FORM, field % b"collections" + b"[" + b"0," * half + end
        ),
        "a form, many parts": Costly(SEARCH, "search", FORM, (head % b"" + b"\r\n") * (n // 60) + end),
        "a form, header lines": Costly(SEARCH, "search", FORM, (head % (b"\r\na:b" * 3000)) * (n // 15_000) + end),
        "a form, header parameters": Costly(SEARCH, "search", FORM, (head % (b";a=b" * 4000)) * (n // 16_000) + end),
        "a form, nearly boundaries": Costly(SEARCH, "search", FORM, head % b"" + b"\r\n--bX" * (n // 6) + end),
        "lines, unknown fields": Costly(BULK, "enroll", LINES, b"{" + names + b"}"),
        "lines, all wrong": Costly(BULK, "enroll", LINES, b"{}\n" * (n // 3)),
        "lines, all empty": Costly(BULK, "enroll", LINES, b"\n" * n),
        "Face++, separators": Costly("POST /facepp/v3/detect", "", URLENCODED, b"&" * min(n, 3 * 2**20)),
        "Face++, escapes": Costly("POST /facepp/v3/detect", "", URLENCODED, b"%41" * (min(n, 3 * 2**20) // 3)),
        "Face++, parts": Costly("POST /facepp/v3/detect", "", FORM, (head % b"" + b"\r\n") * (min(n, 3 * 2**20) // 60)),
        "FR Server, persons that are numbers": Costly(
            "PUT /persons",
            "enroll",
            JSON,
            b'{"collection_name":"staff","face_storage_type":"NoStorage","persons":[' + b"0," * half + b"0]}",
        ),
        "FR Server, metadata of numbers": Costly(
            "PUT /persons",
            "enroll",
            JSON,
            b'{"collection_name":"staff","face_storage_type":"NoStorage","persons":[{"metadata":{' + names + b"}}]}",
        ),
        "FR Server, unknown fields": Costly("POST /face-search", "search", JSON, b"{" + names + b"}"),
        "OpenCV cloud, images that are numbers": Costly(
            "POST /opencv-fr/search", "search", JSON, b'{"images":[' + b"0," * half + b"0]}"
        ),
        "OpenCV cloud, persons": Costly(
            "PATCH /opencv-fr/persons", "enroll", JSON, b'{"action":"DELETE","person_ids":[' + b"0," * half + b"0]}"
        ),
        "OpenCV cloud, unknown fields": Costly("POST /opencv-fr/search", "search", JSON, b"{" + names + b"}"),
        "ARGOS, unknown fields": Costly("POST /modules/search", "search", JSON, b"{" + names + b"}"),
        "9thSense, ids": Costly("POST /face/search", "search", FORM, field % b"target_index_ids" + b"x," * half + end),
        "a query of names": Costly(
            "GET /v1/collections?" + "&".join(f"{i:x}" for i in range(min(n, 10_000))), "search", "", b""
        ),
        "a query of separators": Costly("GET /v1/collections?" + "&" * min(n, 60_000), "search", "", b""),
    }
