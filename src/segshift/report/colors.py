"""The colors of rows and domains, the same in all charts, pages and pictures."""

from segshift.errors import InputError

# The first model, usually source-only, is gray; the others keep apart also for color-blind readers.
MODEL_COLORS = ("#8b949e", "#1f6fd6", "#e0781e", "#1a9c77", "#b4459c", "#c9a20a", "#6a50c7", "#c93a3a")
DARK_MODEL_COLORS = (
    "#a3adb8", "#5ea2f5", "#f2994f", "#3fc79f", "#dc7fca", "#e3c341", "#a592f7", "#f07474",
)  # fmt: skip
"""The same hues as MODEL_COLORS on dark paper."""
DOMAIN_COLORS = ("#1f6fd6", "#e0781e")
COLORS = len(MODEL_COLORS)
MOST_DASHES = 8
MOST_RUNS = 1 + (COLORS - 1) * MOST_DASHES
"""How many runs can be told apart: gray is the reference's, the other colors come again with another dash."""


def color_number(index: int) -> int:
    """Which of the model colors a run has, the same in all charts; 0, gray, is the reference run's alone."""
    return index if index == 0 else 1 + (index - 1) % (COLORS - 1)


def check_colors(models: int) -> None:
    """Raise InputError for more models than there are colors: pictures have bars, which have no dashes."""
    if models > COLORS:
        raise InputError(f"{models} models in one picture cannot be told apart; give at most {COLORS}")
