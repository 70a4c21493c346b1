"""What each loop of `examples/` must have learnt at its end.

The bounds lie outside of all that was seen over several seeds and the three backends.
"""

from collections.abc import Callable

Learnt = dict[str, float]

LEARNT: dict[str, Callable[[Learnt], bool]] = {
    "accumulation": lambda v: v["accuracy"] > 0.85 and v["difference"] < 1e-3,
    "adversarial": lambda v: (
        v["robust_attacked"] > 0.55
        and v["plain_attacked"] < 0.25
        and v["robust_clean"] > 0.92
        and v["plain_clean"] > 0.89
    ),
    "contrastive": lambda v: (
        v["contrastive"] > 0.77 and v["untrained"] < v["contrastive"] - 0.05
    ),
    "distillation": lambda v: v["with_teacher"] > max(0.8, v["alone"]),
    # Tuned on a few digits, next to a network that starts anew.
    "fine_tuning": lambda v: v["accuracy"] > max(0.68, v["fresh"]),
    "gan": lambda v: v["drawn_as_asked"] > 0.93 and v["read_by_pupil"] > 0.8,
    "meta_learning": lambda v: v["after"] < 1.0 and v["before"] > 2.0,
    "mixed_precision": lambda v: (
        v["accuracy"] > 0.85 and v["skipped"] >= 5 and v["updates"] > 400
    ),
    "physics_informed": lambda v: v["error"] < 0.05,
    "rate_test": lambda v: v["best"] > v["small"] + 0.05 and v["large"] < 0.5,
    "reinforce": lambda v: v["after"] > 40 > 20 > v["before"],
    "sharpness_aware": lambda v: v["sharpness_aware"] > 0.84 and v["plain"] < 0.75,
    "transformer": lambda v: v["bits"] < v["guessed"] - 1,
    "variational_autoencoder": lambda v: (
        v["autoencoder"] < 115 < v["principal_components"]
    ),
    "wasserstein": lambda v: v["drawn"] < 1.0 and v["untrained"] > 5,
}
