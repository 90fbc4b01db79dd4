"use strict";

const place = document.getElementById("document");

// Scalar would take what stands in the place for its own earlier page.
place.replaceChildren();

window.Scalar.createApiReference(place, {
  url: place.dataset.url,
  withDefaultFonts: false,
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  showDeveloperTools: "never",
  hideClientButton: true,
  hideTestRequestButton: true,
  persistAuth: false,
});
