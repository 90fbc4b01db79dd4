"""Sphinx: MyST pages, Furo, and two directives that read the package itself. Needs no network."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from flask_webhooks import __version__  # noqa: E402

project = "Flask-Webhooks"
author = "The Flask-Webhooks authors"
copyright = author
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "generated"]
exclude_patterns = ["_build", "_ext"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True
add_module_names = False
# A declaration's place and its door are how the extension finds its way back, not for users.
autodoc_default_options = {"exclude-members": "place, door, documentation, __new__, __init__"}

html_theme = "furo"
html_title = "Flask-Webhooks"
html_show_sphinx = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_favicon = "../flask_webhooks/manage/static/icon.svg"
pygments_style = "a11y-light"  # comes with Furo
pygments_dark_style = "monokai"
