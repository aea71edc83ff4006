"""The section `heartbeat:`: an address that is called while all turns, so that somebody outside hears of a silence."""

from datetime import timedelta
from typing import Annotated

from watchdog.config.fields import SecretFile, between, read_secret, web_address
from watchdog.core.fields import Duration, Frozen, Secret, checked


def _web_secret(url: Secret) -> Secret:
    web_address(url.get_secret_value())
    return url


class Heartbeat(Frozen):
    """Where to call, and how often; one of `url` and `url_file`.

    `url`: the address. It is a secret: whoever has it can say that this watchdog is well. `url_file`: a file in whose
    first line the address stands; it is read anew for each call. `every`: how often it is called, from 1s to 1d.
    """

    url: Annotated[Secret, checked(_web_secret)] | None = None
    url_file: SecretFile | None = None
    every: Annotated[Duration, between(timedelta(seconds=1), timedelta(days=1))] = timedelta(minutes=1)

    def fits_together(self) -> None:
        """One address, that can be called."""
        if (self.url is None) == (self.url_file is None):
            raise ValueError("give one of url and url_file")
        if self.url_file is not None:
            _ = self.address

    @property
    def address(self) -> str:
        """The address, which may have been written anew into its file. Raises ValueError, without what it is."""
        if self.url is not None:
            return self.url.get_secret_value()
        assert self.url_file is not None  # noqa: S101
        try:
            return web_address(read_secret(self.url_file))
        except ValueError as error:
            raise ValueError(f"url_file: {error}") from None
