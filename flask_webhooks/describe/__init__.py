"""The first act: from declarations and the URL map to the OpenAPI document that the sender runs on."""
