"""What is said where a run's variables are others, or cannot be told apart."""

from ownloop.errors import LoopError


def other_variables(step: str, difference: str) -> LoopError:
    """Returns the error of a step that uses variables which the run had not there."""
    return LoopError(
        f"The step {step} uses other variables than in the run in this folder: "
        f"{difference}. Expected the same step over the same objects. Resume with the "
        "code that began the run, building models with `keras.Input` and optimizers "
        "with `optimizer.build(...)` before `loop.epochs` where steps are not "
        "compiled; or choose another folder."
    )


def several_sets(step: str, count: int) -> LoopError:
    """Returns the error of a step that may mean so many sets of variables."""
    return LoopError(
        f"The step {step} used {count} sets of variables with the same paths in the "
        "run in this folder, and which of them it uses now cannot be known. Expected "
        "objects that `Loop(...)` owns, or that Keras numbers as then. Run the script "
        "in a process of its own; or name them, as in `Loop(first=first, "
        "second=second)`, and choose another folder."
    )


def several_variables(path: str, count: int) -> LoopError:
    """Returns the error of a variable that may be so many with the same path."""
    return LoopError(
        f"The run in this folder had {count} variables with the path {path!r}, and "
        "which of them this is cannot be known. Expected one. Name the objects that "
        "they belong to, as in `Loop(accuracy=accuracy)`."
    )
