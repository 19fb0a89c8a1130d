"""The YAML of recipes: keys are unique text, ``1e-4`` is a number, a date is text."""

from __future__ import annotations

import re
from typing import Any, NoReturn

import yaml

#: Largest number of values of a recipe after its aliases are replaced; shipped ones have below 200.
VALUES = 100_000
#: Largest depth of nested values; shipped recipes have below 10.
DEPTH = 50


def parse_yaml(text: str) -> Any:
    """Parse YAML.

    Raises
    ------
    ValueError
        If it is not valid, or would exceed memory; says where and why, without a copy of the text.
    """
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(_where_and_why(error)) from None


def _where_and_why(error: yaml.YAMLError | ValueError) -> str:
    """Return the message of a YAML error without PyYAML's copy of the text."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"character {error.position + 1}: {error.reason}"
    return str(error)


class _Loader(yaml.SafeLoader):
    """Load mappings whose keys are unique text, and aliases that do not multiply their size."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._sizes: dict[yaml.Node, int] = {}
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node, and count the values that it has when all aliases are replaced."""
        alias = self.check_event(yaml.AliasEvent)
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self._depth += 1
        if self._depth > DEPTH:
            self._refuse(mark, f"nested more than {DEPTH} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is None:
            return None
        if alias and node not in self._sizes:
            self._refuse(mark, "this alias contains itself")
        if not alias:
            parts = node.value if isinstance(node, yaml.CollectionNode) else ()
            if isinstance(node, yaml.MappingNode):
                parts = [part for pair in node.value for part in pair]
            self._sizes[node] = 1 + sum(self._sizes[part] for part in parts)
        if self._sizes[node] > VALUES:
            self._refuse(mark, f"more than {VALUES} values, when aliases are replaced")
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: set[str] = set()
        for key, _ in node.value:
            if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
                self._refuse(key.start_mark, "this key is not text; quote it")
            if key.value in keys:
                self._refuse(key.start_mark, f"the key '{key.value}' is repeated")
            keys.add(key.value)
        return super().construct_mapping(node, deep)

    @staticmethod
    def _refuse(mark: yaml.Mark, problem: str) -> NoReturn:
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in known if tag != "tag:yaml.org,2002:timestamp"]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)
