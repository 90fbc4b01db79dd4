"""A signed message that never changes: receivers in any language can check themselves by it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Vector:
    """One message with its signatures. The secret and the key are for this message only."""

    id: str
    timestamp: int
    body: str
    secret: str
    signature: str
    public_key: str
    public_signature: str


VECTOR = Vector(
    id="msg_guide_example",
    timestamp=1767225600,
    body='{"type":"test","text":"It works."}',
    secret="whsec_VGhpcyBzZWNyZXQgc2lnbnMgb25seSBleGFtcGxlcyE=",
    signature="v1,KhaVpiX3DKsEIhWv28CYxETK7ofoPL1soOREWtoPDwI=",
    public_key="whpk_wR7CP6IcIchr04BIULI8UyAO3dhCA5S9g4pWePvVLg4=",
    public_signature=(
        "v1a,ioZtETkX8ndF/ydrsFGoURhIXReXCpmRDEQzl3yX0BNB8N1NA5UqSV7V6fnieldQOOPZdeSlAlW8WsqVaav6DQ=="
    ),
)

#: Where the command below sends to, until it is changed.
RECEIVER = "http://localhost:8000/webhooks"


def command(vector: Vector) -> str:
    """Shell commands that sign the vector's body as of now, and send it to a receiver of one's own.

    As of now, since every library refuses what is older than five minutes.
    """
    return f"""\
url={RECEIVER}
secret={vector.secret}
body='{vector.body}'
time=$(date +%s)
id=msg_test_$time
key=$(printf %s "${{secret#whsec_}}" |
  openssl base64 -d -A | od -An -tx1 | tr -d ' \\n')
signature=$(printf %s "$id.$time.$body" |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary |
  openssl base64 -A)
curl -i "$url" --data-binary "$body" \\
  -H 'content-type: application/json' \\
  -H "webhook-id: $id" \\
  -H "webhook-timestamp: $time" \\
  -H "webhook-signature: v1,$signature"
"""
