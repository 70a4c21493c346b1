"""All the cases, in files by category; importing this package registers them."""

from importlib import import_module

from conformance.case import CASES as CASES

CATEGORIES = (
    "structures",
    "targets",
    "output_gradients",
    "persistence",
    "higher_order",
    "watching",
    "watched_variables",
    "stop_and_reset",
    "unconnected",
    "dtypes",
    "control_flow",
    "custom_gradients",
    "identities",
    "operations",
    "jacobians",
    "batch_jacobians",
    "exceptions",
    "layers",
    "functions",
    "scopes",
)

for _category in CATEGORIES:
    import_module(f"conformance.cases.{_category}")
