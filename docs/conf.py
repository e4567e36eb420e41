"""Settings of the documentation site: sphinx-build -W -c docs . site.

The source folder is the root of the repository, so that links between pages work alike on the site and on a code host.
The notebooks run while the site is built. A cell that fails ends the build.
"""

from importlib.metadata import version as installed_version

project = "roadclear"
author = "The roadclear developers"
version = release = installed_version("roadclear")

root_doc = "docs/index"
include_patterns = ["*.md", "docs/**"]
extensions = ["myst_nb"]
myst_heading_anchors = 4
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 120
html_theme = "furo"
html_title = "roadclear"
html_show_sphinx = False
