"""The viewers that can show the document: pinned files, their hashes, and what each needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_CDN = "https://cdn.jsdelivr.net/npm"


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """One program that shows an OpenAPI document, as a fixed version of an npm package.

    ``files`` are paths in the package, each with the SHA-384 that browsers check (Subresource
    Integrity). ``needs`` is what its Content Security Policy must allow besides them: a list of
    sources by directive. ``module`` says that its script is an ECMAScript module.
    """

    package: str
    version: str
    files: Mapping[str, str]
    needs: Mapping[str, str]
    module: bool = False

    def url(self, path: str) -> str:
        """Where a file of the package stands on the content delivery network."""
        return f"{_CDN}/{self.package}@{self.version}/{path}"

    def named(self, suffix: str) -> tuple[str, ...]:
        """The files whose names end with ``suffix``."""
        return tuple(path for path in self.files if path.endswith(suffix))


#: By the value of ``WEBHOOKS_DOCS_UI``. Each has its own script ``{name}.js`` in ``static``.
VIEWERS: Mapping[str, Viewer] = {
    "swagger": Viewer(
        package="swagger-ui-dist",
        version="5.35.0",
        files={
            "swagger-ui-bundle.js": (
                "gjRm0bEPMeTmMh5jT2cHccIwCUZSTd8YC+j0d0sXw0MdGEfScduGpSyF3ZSSLkX9"
            ),
            "swagger-ui.css": "WlYgdmXYOOBWL5apwjDEZwN+U3HmXSSu5R6V5aGxEcf7z+KuRNwBhoxKVN1i3D5I",
        },
        needs={"img-src": "data:"},
    ),
    "redoc": Viewer(
        package="redoc",
        version="3.0.1",
        files={
            "bundles/redoc.standalone.js": (
                "j07qRKHNNmcwU1/Y1elJc7pDLHXP/QfbQXTtSkbOJ7uYGJikqAzsFVbY2zR9FqOT"
            ),
        },
        needs={"style-src": "'unsafe-inline'", "img-src": "data:", "font-src": "data:"},
        module=True,
    ),
    "scalar": Viewer(
        package="@scalar/api-reference",
        version="1.72.1",
        files={
            "dist/browser/standalone.js": (
                "U11tb2XnKvmwt8RlTvnwUnYgrN+ur4Xyh9htLhjajWNR/Oyl5AX5DEz00qRmlrmK"
            ),
        },
        needs={"style-src": "'unsafe-inline'"},
    ),
    "elements": Viewer(
        package="@stoplight/elements",
        version="9.0.25",
        files={
            "web-components.min.js": (
                "X5kH2B8aH81JEl8IfSBwwnr8FYcCqMzdxpqjmmlRbhIl7SsQ9Zn0xk+csQmU37zN"
            ),
            "styles.min.css": "NzdOiocfnINlXfuCXi4OpL/xvdbgLiKaLHQ07Z+IwhVaxHqLShn5rVD5OHt/LYgz",
        },
        needs={"style-src": "'unsafe-inline'"},
    ),
}


def installed_files(name: str) -> Path | None:
    """Where a viewer's files are installed: the extra ``ui`` brings Swagger UI's; else ``None``."""
    if name != "swagger":
        return None
    try:
        import flask_swagger_ui
    except ImportError:
        return None
    return Path(str(flask_swagger_ui.__file__)).parent / "dist"
