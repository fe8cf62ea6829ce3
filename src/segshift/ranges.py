"""The ranges of numbers in settings and model files: wide enough for every use, too narrow for nonsense.

All numbers are finite besides (`config.Strict`). The upper limits keep a slip of the pen, or a file from
elsewhere, from asking for gigabytes.
"""

from typing import Annotated

from pydantic import Field

Side = Annotated[int, Field(ge=1, le=2**16)]
"""Of an image, crop, window or patch, in px."""
Index = Annotated[int, Field(ge=0, lt=2**16)]
"""Of a pixel in a row or column."""
Scale = Annotated[float, Field(gt=0, le=16)]
"""A factor on an image's size."""
Scales = Annotated[tuple[Scale, ...], Field(min_length=1, max_length=32)]
Byte = Annotated[int, Field(ge=0, le=255)]

Channels = Annotated[int, Field(ge=1, le=2**14)]
Dilation = Annotated[int, Field(ge=1, le=1024)]
Layers = Annotated[int, Field(ge=1, le=256)]

Count = Annotated[int, Field(ge=1, le=10**9)]
Steps = Annotated[int, Field(ge=0, le=10**9)]
BatchSize = Annotated[int, Field(ge=1, le=2**16)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]

NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
"""What an exponential average keeps: a momentum, or one of Adam's betas."""
