"""What came of recovery, as its record and its messages tell it."""

from watchdog.core.action import Action, State
from watchdog.state.records import Records
from watchdog.state.store import Store


class Recovered:
    """Whatever has a record of actions and an outbox."""

    records: Records
    store: Store

    @property
    def actions(self) -> list[Action]:
        """All of them, oldest first."""
        return list(self.records.actions())

    @property
    def only(self) -> Action:
        """The one action that there is."""
        (action,) = self.actions
        return action

    def states(self) -> list[State]:
        """The state of each action."""
        return [action.state for action in self.actions]

    def letters(self, about: str = "") -> list[str]:
        """Title and text of what recovery has told, oldest first."""
        messages = [entry.message for entry in self.store.waiting() if entry.event == "recovery"]
        return [f"{m['title']}\n{m['text']}" for m in messages if about in m["title"]]
