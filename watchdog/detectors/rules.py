"""The thresholds of the conditions as detectors ask for them. Each condition's own stand in its detector's file.

Here are the forms without the sections; `config.settings` fills them in from the table of kinds.
"""

from fnmatch import fnmatchcase
from functools import cached_property
from typing import ClassVar, TypeVar

from watchdog.core.fields import Frozen
from watchdog.core.kinds import Kind
from watchdog.core.model import Job


class Rule(Frozen):
    """What every condition has: it can be switched off. One with thresholds has a rule of its own, and says whose.

    `on`: whether it is looked for.
    """

    kind: ClassVar[Kind]

    on: bool = True

    @property
    def is_wanted(self) -> bool:
        """Whether it can be told under these values."""
        return self.on


R = TypeVar("R", bound=Rule)


class Rules(Frozen):
    """The thresholds that hold for one job; a section for each kind."""

    def __getitem__(self, rule: type[R]) -> R:
        """The section of this type."""
        section: R = self.__dict__[rule.kind]
        return section

    def is_on(self, kind: Kind) -> bool:
        """Whether the condition is looked for under these rules."""
        section: Rule = self.__dict__[kind]
        return section.on


class RulesForSome(Rules):
    """What differs for the jobs whose name matches (upper and lower case are the same).

    `match`: a pattern for the job's name, like `quiet-*`.
    """

    match: str

    def fits(self, name: str) -> bool:
        """Whether the job of this name is meant."""
        return fnmatchcase(name.casefold(), self.match.casefold())

    def over(self, base: Rules) -> Rules:
        """The rules with each section that is named here changed in the values that it names."""
        changed = {}
        for section in self.said - {"match"}:
            wanted: Rule = self.__dict__[section]
            values = {name: getattr(wanted, name) for name in wanted.said}
            changed[section] = base.__dict__[section].but(**values)
        return base.but(**changed)


class RulesForAll(Rules):
    """The thresholds for all jobs, and what differs for some.

    `jobs`: what differs for some jobs; of several that match, the later one wins.
    """

    jobs: tuple[RulesForSome, ...] = ()

    @cached_property
    def _known(self) -> dict[str, Rules]:
        return {}

    def of(self, job: Job) -> Rules:
        """The thresholds that hold for `job`."""
        return self.named(job.name)

    def is_wanted(self, kind: Kind) -> bool:
        """Whether the condition can be told of the source or of some job, by the rules for all or those for some."""
        sections: list[Rule] = [self.__dict__[kind], *(some.over(self).__dict__[kind] for some in self.jobs)]
        return any(section.is_wanted for section in sections)

    def named(self, name: str) -> Rules:
        """The thresholds that hold for a job of this name, whether it is there or not."""
        if not self.jobs:
            return self
        if name not in self._known:
            self._known[name] = self._merged(name)
        return self._known[name]

    def _merged(self, name: str) -> Rules:
        rules: Rules = self
        for override in self.jobs:
            if override.fits(name):
                rules = override.over(rules)
        return rules
