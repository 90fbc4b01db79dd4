"""The first act: declarations and the URL map become the document that the sender runs on."""
