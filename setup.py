"""Which folders become which packages; everything else about the distribution is in pyproject.toml.

A new layer, task or folder of templates needs no line here: every folder below a root is a package, with or without Python in it.
"""

from setuptools import find_namespace_packages, setup

ROOTS = {
    "rnnbench": "platform/rnnbench",
    "rnnbench_tasks": "tasks",
    "rnnbench_search_spaces": "search_spaces",
    "rnnbench_deploy": "deploy",
}
NOT_SHIPPED = ["__pycache__", "*.__pycache__"]

setup(
    package_dir=ROOTS,
    packages=[
        package
        for root, folder in ROOTS.items()
        for package in [root, *(f"{root}.{inner}" for inner in find_namespace_packages(folder, exclude=NOT_SHIPPED))]
    ],
)
