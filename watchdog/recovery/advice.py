"""What of the policies is allowed and will not do what it is meant to; `validate` says it."""

from collections.abc import Iterator

from watchdog.config.file import Config
from watchdog.config.policies import BY_API


def advice(config: Config) -> Iterator[str]:
    """One line a policy whose only ways need a login of the API, none of which lasts."""
    for index, policy in enumerate(config.recovery.policies):
        if policy.action == "revive" and set(policy.ways) <= set(BY_API) and _is_logged_in(config):
            yield (
                f"recovery.policies[{index}].via: only ways through the API, whose login ends after 7 days and with "
                "every restart of the agent (a token works once): add `sql`, and `restart` as the last"
            )


def _is_logged_in(config: Config) -> bool:
    """Whether a source that it may be for has a token."""
    tokens = (getattr(getattr(source, "api", None), "token_file", None) for source in config.sources)
    return any(tokens)
