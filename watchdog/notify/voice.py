"""What every message has from who sends it: which commands mean this watchdog, its name, page and time zone."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from watchdog.config.file import Config
from watchdog.core.command_line import PROGRAM, pasteable
from watchdog.core.instants import said_in, say
from watchdog.notify.words import Message


@dataclass(frozen=True, slots=True)
class Voice:
    """`options` and `prefix` make a command complete; `page` is the address of the page, or empty; `host` is what the
    watchdog is called, its machine's name where nothing else is said."""

    options: str = ""
    prefix: str = ""
    page: str = ""
    host: str = ""
    zone: str = "UTC"

    def say(self, instant: datetime) -> str:
        """The instant in the operator's zone."""
        return say(instant, ZoneInfo(self.zone))

    def completed(self, message: Message, incident: int | None = None) -> Message:
        """The message with commands that can be pasted where they are read, its times in the operator's zone, the link,
        and which host it is from."""
        anchor = f"#incident-{incident}" if incident is not None else ""
        return replace(
            message,
            lead=self._whole(message.lead),
            facts=tuple((self._whole(label), self._whole(text)) for label, text in message.facts),
            jobs=self._all(message.jobs),
            command=pasteable(message.command, self.prefix, self.options),
            foot=f"{message.foot}, on {self.host}" if self.host else message.foot,
            link=f"{self.page}/{anchor}" if self.page else "",
        )

    def _whole(self, text: str) -> str:
        """An instant in a command, as in a job's id, is left as it stands."""
        sentence, program, command = text.partition(PROGRAM)
        said = said_in(sentence, ZoneInfo(self.zone))
        return pasteable(f"{said}{program}{command}", self.prefix, self.options)

    def _all(self, texts: Sequence[str]) -> tuple[str, ...]:
        return tuple(self._whole(text) for text in texts)


def voice_of(config: Config) -> Voice:
    """The voice of a configuration on this host."""
    return Voice(
        config.invocation,
        config.notify.command_prefix,
        (config.http.public_url or "").rstrip("/"),
        config.instance or platform.node().split(".")[0],
        config.notify.timezone,
    )
