"""How receivers verify: a few lines in each language, with its Standard Webhooks library."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Language:
    """A language: what to install, and the lines that verify. ``note`` is what to beware of."""

    name: str
    code: str
    install: str = ""
    note: str = ""


#: ``secret`` is the ``whsec_…`` text of the subscription in each.
LANGUAGES = (
    Language(
        name="Python",
        install="pip install standardwebhooks",
        code="""\
from flask import Flask, abort, request
from standardwebhooks import Webhook, WebhookVerificationError

@app.post("/webhooks")
def receive():
    body, headers = request.get_data(), dict(request.headers)
    try:
        payload = Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        abort(400)
    return "", 204
""",
    ),
    Language(
        name="JavaScript",
        install="npm install standardwebhooks",
        code="""\
import express from "express";
import { Webhook } from "standardwebhooks";

app.post("/webhooks", express.raw({ type: "application/json" }), (req, res) => {
  let payload;
  try {
    payload = new Webhook(secret).verify(req.body, req.headers);
  } catch {
    return res.sendStatus(400);
  }
  res.sendStatus(204);
});
""",
    ),
    Language(
        name="Go",
        install="go get github.com/standard-webhooks/standard-webhooks/libraries/go",
        code="""\
import standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

func receive(w http.ResponseWriter, r *http.Request) {
    webhook, err := standardwebhooks.NewWebhook(secret)
    if err != nil {
        http.Error(w, "no usable secret", http.StatusInternalServerError)
        return
    }
    body, err := io.ReadAll(r.Body)
    if err != nil || webhook.Verify(body, r.Header) != nil {
        http.Error(w, "not verified", http.StatusBadRequest)
        return
    }
    w.WriteHeader(http.StatusNoContent)
}
""",
    ),
    Language(
        name="Ruby",
        install="gem install standardwebhooks",
        code="""\
require "standardwebhooks"

def receive # an action of a Rails controller
  payload = StandardWebhooks::Webhook.new(secret).verify(request.raw_post, request.headers)
  head :no_content
rescue StandardWebhooks::WebhookVerificationError
  head :bad_request
end
""",
    ),
    Language(
        name="PHP",
        install="composer require standard-webhooks/standard-webhooks",
        code="""\
$headers = array_change_key_case(getallheaders(), CASE_LOWER);
try {
    $webhook = new \\StandardWebhooks\\Webhook($secret);
    $payload = $webhook->verify(file_get_contents('php://input'), $headers);
} catch (\\StandardWebhooks\\Exception\\WebhookVerificationException $e) {
    http_response_code(400);
    exit;
}
http_response_code(204);
""",
    ),
    Language(
        name="Java",
        install="com.standardwebhooks:standardwebhooks (Maven Central)",
        code="""\
import com.standardwebhooks.Webhook;
import com.standardwebhooks.exceptions.*;
import java.net.http.HttpHeaders;

@PostMapping("/webhooks") // Spring
ResponseEntity<Void> receive(@RequestBody String body,
                             @RequestHeader MultiValueMap<String, String> headers)
        throws EmptyWebhookSecretException {
    try {
        new Webhook(secret).verify(body, HttpHeaders.of(headers, (name, value) -> true));
    } catch (WebhookVerificationException e) {
        return ResponseEntity.badRequest().build();
    }
    return ResponseEntity.noContent().build();
}
""",
    ),
    Language(
        name="C#",
        install="dotnet add package StandardWebhooks",
        code="""\
using StandardWebhooks;
using StandardWebhooks.Diagnostics;

app.MapPost("/webhooks", async (HttpRequest request) =>
{
    using var reader = new StreamReader(request.Body);
    var body = await reader.ReadToEndAsync();
    try
    {
        new StandardWebhook(secret).Verify(body, request.Headers);
    }
    catch (WebhookVerificationException)
    {
        return Results.BadRequest();
    }
    return Results.NoContent();
});
""",
        note="This package compares the first of several signatures only. While a secret is being "
        "replaced, the first is that of the new secret.",
    ),
    Language(
        name="Rust",
        install="cargo add standardwebhooks",
        code="""\
use axum::{body::Bytes, http::{HeaderMap, StatusCode}};
use standardwebhooks::Webhook;

async fn receive(headers: HeaderMap, body: Bytes) -> StatusCode {
    match Webhook::new(SECRET).and_then(|webhook| webhook.verify(&body, &headers)) {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::BAD_REQUEST,
    }
}
""",
    ),
)

#: ``public_key`` is a published ``whpk_…`` text in each.
PUBLIC_KEY_LANGUAGES = (
    Language(
        name="Python",
        install="pip install Flask-Webhooks",
        code="""\
from flask_webhooks import VerificationError, verify

@app.post("/order-status")
def receive():
    try:
        payload = verify(request.get_data(), request.headers, public_key)
    except VerificationError:
        abort(400)
    return "", 204
""",
    ),
    Language(
        name="JavaScript",
        code="""\
import { createPublicKey, verify } from "node:crypto";

// What follows whpk_ is the key itself: here it becomes a JSON Web Key.
const raw = Buffer.from(publicKey.slice("whpk_".length), "base64");
const jwk = { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") };
const key = createPublicKey({ key: jwk, format: "jwk" });

function isVerified(body, headers) { // body: the raw bytes, as a Buffer
  const time = headers["webhook-timestamp"];
  const start = `${headers["webhook-id"]}.${time}.`;
  const content = Buffer.concat([Buffer.from(start), body]);
  const fresh = Math.abs(Date.now() / 1000 - Number(time)) <= 300;
  return fresh && headers["webhook-signature"].split(" ").some((one) => {
    const [version, signature] = one.split(",");
    return version === "v1a"
      && verify(null, content, key, Buffer.from(signature, "base64"));
  });
}
""",
    ),
)
