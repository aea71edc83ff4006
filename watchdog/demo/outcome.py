"""What the agent does in one run, as a test or the demo decides it."""

from dataclasses import dataclass
from datetime import timedelta

_ZERO = timedelta()


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of the agent and the delivery of its answer.

    `delivery` is what the delivery comes to (`delivered`, `dropped:<why>`, `error:<why>`); None stands for an empty
    answer, which is not delivered and leaves the previous value. A job whose channel is `none` delivers nothing.
    `delivery_hangs`: the run has ended and is billed, and its outcome is never recorded.
    """

    ok: bool = True
    duration: timedelta = timedelta(seconds=60)
    input_tokens: int = 10_000
    output_tokens: int = 900
    cost_usd: float = 0.5
    error: str | None = None
    delivery: str | None = "delivered"
    delivery_duration: timedelta = _ZERO
    hangs: bool = False
    honours_abort: bool = False
    delivery_hangs: bool = False

    def __post_init__(self) -> None:
        if self.duration < _ZERO or self.delivery_duration < _ZERO:
            raise ValueError("outcome: a duration below zero; time does not run backwards")

    @classmethod
    def failing(
        cls, error: str = "Error: 529 overloaded_error", duration: timedelta = timedelta(seconds=8)
    ) -> "Outcome":
        """A run that ends in an error before any model call is billed."""
        return cls(ok=False, duration=duration, input_tokens=0, output_tokens=0, cost_usd=0.0, error=error)

    @classmethod
    def hanging(cls, *, honours_abort: bool = False) -> "Outcome":
        """A run that does not come back: never, or when the time limit aborts it."""
        return cls(input_tokens=0, output_tokens=0, cost_usd=0.0, hangs=True, honours_abort=honours_abort)

    @classmethod
    def workless(cls, duration: timedelta = timedelta(seconds=4)) -> "Outcome":
        """A run that is ok on paper and billed no model call."""
        return cls(duration=duration, input_tokens=0, output_tokens=0, cost_usd=0.0)
