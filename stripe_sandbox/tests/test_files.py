"""Files: uploaded as the library does it, kept, and refused where their purpose does not take them."""

import io
import urllib.request
from typing import Any

import pytest

from .conftest import Sandbox, refused

PDF = b"%PDF-1.4 a receipt \x00\xff\r\n--looks-like-a-boundary\r\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


class Named(io.BytesIO):
    name = "receipt.pdf"


def upload(api: Any, content: bytes = PDF, purpose: str = "dispute_evidence", **options: Any) -> Any:
    return api.files.create({"purpose": purpose, "file": Named(content)}, options)


def test_a_file_is_kept_as_it_came(api: Any, sandbox: Sandbox) -> None:
    made = upload(api)
    assert (made.object, made.filename, made.purpose, made.size, made.type) == (
        "file",
        "receipt.pdf",
        "dispute_evidence",
        len(PDF),
        "pdf",
    )
    assert made.id.startswith("file_")
    assert api.files.retrieve(made.id).to_dict() == made.to_dict()
    assert sandbox.process.poll() is None


def test_its_contents_can_be_fetched_with_a_key(api: Any, sandbox: Sandbox) -> None:
    made = upload(api)
    request = urllib.request.Request(made.url, headers={"Authorization": "Bearer sk_test_0123456789abcdefghij"})
    with urllib.request.urlopen(request) as answer:
        assert answer.read() == PDF
    status, body, _ = sandbox.raw("GET", f"/v1/files/{made.id}/contents", Authorization="Bearer pk_test_1")
    assert (status, body["error"]["type"]) == (401, "invalid_request_error")


def test_files_are_listed_by_purpose_and_account(api: Any, coach: str) -> None:
    evidence, logo = upload(api), upload(api, PNG, "business_logo")
    theirs = upload(api, stripe_account=coach)
    assert [each.id for each in api.files.list().data] == [logo.id, evidence.id]
    assert [each.id for each in api.files.list({"purpose": "dispute_evidence"}).data] == [evidence.id]
    assert refused(lambda: api.files.retrieve(theirs.id)).http_status == 404


def test_the_same_key_and_file_make_one_file(api: Any) -> None:
    first, again = upload(api, idempotency_key="k"), upload(api, idempotency_key="k")
    assert first.id == again.id
    error = refused(lambda: upload(api, PDF + b"!", idempotency_key="k"))
    assert type(error).__name__ == "IdempotencyError"
    assert len(api.files.list().data) == 1


@pytest.mark.parametrize(
    ("content", "purpose"),
    [
        (b"just text", "dispute_evidence"),
        (b"GIF89a", "dispute_evidence"),
        (PDF, "business_logo"),
        (PDF + bytes(5 * 1024 * 1024), "dispute_evidence"),
        (PNG + bytes(512 * 1024), "business_icon"),
        (b"", "dispute_evidence"),
    ],
)
def test_what_a_purpose_does_not_take_is_refused(api: Any, content: bytes, purpose: str) -> None:
    error = refused(lambda: upload(api, content, purpose))
    assert (error.http_status, error.param) == (400, "file")
    assert api.files.list().data == []


def test_a_refusal_to_show_contents_is_json(sandbox: Sandbox) -> None:
    status, answer, headers = sandbox.raw("GET", "/v1/files/file_none/contents")
    assert (status, answer["error"]["code"]) == (404, "resource_missing")
    assert headers["content-type"] == "application/json"


def test_other_purposes_than_stripes_are_refused(api: Any) -> None:
    assert refused(lambda: upload(api, PDF, "holiday")).param == "purpose"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"purpose=dispute_evidence&file=abc", "application/x-www-form-urlencoded"),
        (b"--x\r\nno header", "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\nabc\r\n--x--\r\n", "multipart/form-data; boundary=x"),
        (b"--x--\r\n", "multipart/form-data"),
        (
            b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n\xff\r\n--x--',
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_broken_uploads_are_a_400(sandbox: Sandbox, body: bytes, kind: str) -> None:
    status, answer, _ = sandbox.raw("POST", "/v1/files", body, Content_Type=kind)
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")


def test_other_endpoints_take_no_multipart(sandbox: Sandbox) -> None:
    status, _, _ = sandbox.raw("POST", "/v1/customers", b"--x--\r\n", Content_Type="multipart/form-data; boundary=x")
    assert status == 400
