"""What the parts of a configuration are made of."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from watchdog.core.durations import PATTERN, parse_duration, say_duration

_Written = Annotated[str, Field(pattern=PATTERN)]

Duration = Annotated[
    timedelta, BeforeValidator(parse_duration, json_schema_input_type=_Written), PlainSerializer(say_duration)
]
"""A length of time that is written with its unit."""

Count = Annotated[int, Field(ge=1, strict=True)]


class Frozen(BaseModel):
    """A part of the configuration: unknown keys are errors, and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
