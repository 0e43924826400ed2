"""Files: uploaded by multipart, kept with their contents, checked by purpose.

The documented limits: evidence for a dispute is PDF, JPEG or PNG of at most 5 MB, logos and icons 512 KB, identity
documents 10 MB (5 MB as PDF, held to 10 here); Stripe publishes none of these refusals' words, so these are the sandbox's own.
"""

from stripe_sandbox.errors import Json, StripeError, missing_param, validation
from stripe_sandbox.multipart import Upload
from stripe_sandbox.rendering import by, list_of, page
from stripe_sandbox.routing import Call, route
from stripe_sandbox.world import Resource

MB = 1024 * 1024
# What a file begins with -> what it is.
SIGNATURES = ((b"%PDF-", "pdf"), (b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpg"), (b"GIF8", "gif"))
IMAGES = ("jpg", "png")
# Purpose -> the most bytes, and the kinds it takes.
LIMITS: dict[str, tuple[int, tuple[str, ...]]] = {
    "account_requirement": (10 * MB, ("pdf", *IMAGES)),
    "additional_verification": (10 * MB, ("pdf", *IMAGES)),
    "business_icon": (512 * 1024, ("gif", *IMAGES)),
    "business_logo": (512 * 1024, ("gif", *IMAGES)),
    "customer_signature": (4 * MB, ("pdf", "gif", *IMAGES)),
    "dispute_evidence": (5 * MB, ("pdf", *IMAGES)),
    "identity_document": (10 * MB, ("pdf", *IMAGES)),
}
OTHER = (10 * MB, ())
EVIDENCE_PURPOSES = ("dispute_evidence", "customer_signature")


@route("POST", "/v1/files", "FileCreateParams")
def create(call: Call) -> Json:
    """Keeps the file, unless it is too large or of a kind that its purpose does not take."""
    upload, purpose = call.params["file"], call.params["purpose"]
    if not isinstance(upload, Upload):
        raise validation("Invalid file: it must be uploaded as a part of multipart/form-data.", "file")
    if not upload.content:
        raise missing_param("file")
    most, kinds = LIMITS.get(purpose, OTHER)
    if len(upload.content) > most:
        raise StripeError(
            f"The file is too large: a file with the purpose {purpose} may have at most {most} bytes.", param="file"
        )
    kind = next((kind for start, kind in SIGNATURES if upload.content.startswith(start)), None)
    if kinds and kind not in kinds:
        raise StripeError(
            f"A file with the purpose {purpose} must be one of these types: {', '.join(kinds)}.", param="file"
        )
    return _keep(call, upload, purpose, kind)


def _keep(call: Call, upload: Upload, purpose: str, kind: str | None) -> Resource:
    world, id = call.world, call.world.new_id("file")
    content, upload.content = upload.content, b""  # the request log keeps the description only
    links = (
        list_of([], f"/v1/file_links?file={id}")
        if purpose not in ("identity_document", "account_requirement")
        else None
    )
    return world.create(
        "file",
        call.account,
        {
            "id": id,
            "filename": upload["filename"] or "blob",
            "links": links,
            "purpose": purpose,
            "size": len(content),
            "type": kind or upload["filename"].rpartition(".")[2] or None,
            "url": f"{world.base_url}/v1/files/{id}/contents",
        },
        hidden={"content": content},
    )


def check_evidence(call: Call, name: str, id: str) -> None:
    """Refuses what is no file of the account, or one of another purpose."""
    found = call.world.require("file", id, call.account, param=f"evidence[{name}]", label="file upload")
    if found["purpose"] not in EVIDENCE_PURPOSES:
        raise StripeError(
            f"The file {id} has the purpose {found['purpose']}; evidence needs the purpose dispute_evidence.",
            param=f"evidence[{name}]",
        )


@route("GET", "/v1/files/{id}", "FileRetrieveParams")
def retrieve(call: Call) -> Json:
    return call.require("file", "id", param="file", label="file upload")


@route("GET", "/v1/files", "FileListParams")
def list_files(call: Call) -> Json:
    return page(call, "file", "/v1/files", {"purpose": by("purpose")})
