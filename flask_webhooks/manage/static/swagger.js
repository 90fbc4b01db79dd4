"use strict";

const place = document.getElementById("document");

window.SwaggerUIBundle({
  url: place.dataset.url,
  domNode: place,
  deepLinking: true,
  defaultModelsExpandDepth: 1,
  docExpansion: "list",
  validatorUrl: "none",
});
