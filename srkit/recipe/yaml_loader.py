"""The YAML of recipes: keys are unique text, ``1e-4`` is a number, a date is text."""

from __future__ import annotations

import re
from typing import Any, NoReturn

import yaml


def parse_yaml(text: str) -> Any:
    """Parse YAML.

    Raises
    ------
    ValueError
        If it is not valid; says where and why, without a copy of the text.
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
    """Load mappings whose keys are unique text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: set[str] = set()
        for key, _ in node.value:
            if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
                self._refuse(key, "this key is not text; quote it")
            if key.value in keys:
                self._refuse(key, f"the key '{key.value}' is repeated")
            keys.add(key.value)
        return super().construct_mapping(node, deep)

    @staticmethod
    def _refuse(node: yaml.Node, problem: str) -> NoReturn:
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in known if tag != "tag:yaml.org,2002:timestamp"]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)
