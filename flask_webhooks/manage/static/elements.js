"use strict";

const place = document.getElementById("document");
const elements = document.createElement("elements-api");

elements.apiDescriptionUrl = place.dataset.url;
elements.router = "hash";
elements.layout = "responsive";
elements.hideTryIt = true;
place.replaceChildren(elements);
