"""YAML with places: documents as data, and the line of any field in the file that it was read from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Path_ = Sequence[str | int]


class Loader(yaml.CSafeLoader):
    """The safe loader, with `=` read as text: YAML 1.1 has a type for it that nobody uses."""


def _text(loader: Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


Loader.add_constructor("tag:yaml.org,2002:value", _text)


@dataclass(frozen=True)
class Document:
    """One document of a file: its data, and its nodes with their places."""

    data: Any
    node: yaml.Node

    @property
    def line(self) -> int:
        """The line, from 1, on which it begins."""
        return int(self.node.start_mark.line) + 1

    def line_of(self, path: Path_) -> int | None:
        """The line of a field, from 1; None when the document does not have it."""
        node, line = self.node, self.line
        for step in path:
            found = _child(node, step)
            if found is None:
                return None
            key, node = found
            line = int(key.start_mark.line) + 1
        return line

    def nearest(self, path: Path_) -> tuple[int, int]:
        """The line of the longest leading part of `path` that exists, and how many steps that is."""
        for length in range(len(path), -1, -1):
            line = self.line_of(path[:length])
            if line is not None:
                return line, length
        return self.line, 0


def _child(node: yaml.Node, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def documents(text: str) -> list[Document]:
    """Every document of a text, empty ones left out. Raises `yaml.YAMLError`."""
    loader = Loader(text)
    found = []
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                data = loader.construct_document(node)
                if data is not None:
                    found.append(Document(data, node))
    finally:
        loader.dispose()
    return found


def read(path: Path) -> list[Document]:
    """Every document of a file. Raises `yaml.YAMLError`."""
    return documents(path.read_text())


def load_all(text: str) -> list[Any]:
    """Every document of a text as data only, which is faster."""
    return [data for data in yaml.load_all(text, Loader=Loader) if data is not None]


def walk(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every field below `value` with its path, parents first."""
    yield path, value
    if isinstance(value, dict):
        for key, child in value.items():
            yield from walk(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from walk(child, (*path, index))
