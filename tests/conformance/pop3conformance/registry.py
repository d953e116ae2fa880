"""The cases: what each demands, and where the RFC says so."""

import dataclasses
import importlib
import pkgutil

LEVELS = ("MUST", "SHOULD")


@dataclasses.dataclass(frozen=True)
class Case:
    id: str          # stable for ever: RFC1939-5-012
    rfc: str         # "RFC 1939"
    section: str
    level: str       # MUST, or SHOULD where the text says should, recommended or discouraged
    title: str       # the promise, in our words
    quote: str       # the RFC's own words
    run: object
    slow: bool = False


_cases = {}


class Group:
    """The cases of one RFC: group = Group("RFC 1939")."""

    def __init__(self, rfc):
        self.rfc = rfc

    def case(self, number, level, title, quote, slow=False):
        """number: section and case, "5-012"; the section may have dots: "6.5-003"."""
        section = number.rpartition("-")[0]

        def register(function):
            name = "DRAFT-LOGIN" if self.rfc.startswith("draft-") else self.rfc.replace(" ", "")
            case = Case(f"{name}-{number}", self.rfc, section, level, title, " ".join(quote.split()), function, slow)
            if level not in LEVELS or case.id in _cases:
                raise ValueError(f"{case.id}: a number used twice, or no level")
            _cases[case.id] = case
            return function

        return register


def all_cases():
    """Every case, in the order of the files and of their definition."""
    from . import cases
    for module in sorted(module.name for module in pkgutil.iter_modules(cases.__path__)):
        importlib.import_module(f"{cases.__name__}.{module}")
    return list(_cases.values())
