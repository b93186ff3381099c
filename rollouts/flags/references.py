"""What flags and saved groups refer to: all of it must exist, and nothing may lead to itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from rollouts.errors import Fault
from rollouts.flags.condition_checks import referenced_groups
from rollouts.flags.model import Flag, RuleBase, SavedGroup

DEEPEST_CHAIN = 10  # flags above a flag, or saved groups inside a saved group

Graph = Mapping[str, Collection[str]]


def flag_reference_faults(
    flag: Flag, flags: Iterable[Flag], groups: Mapping[str, SavedGroup]
) -> Iterator[Fault]:
    """References of a flag that lead nowhere, or back to itself through other flags."""
    everything = {other.key: other for other in flags} | {flag.key: flag}
    for environment, state in flag.states.items():
        where = f"environments.{environment}.rules"
        for index, rule in enumerate(state.rules):
            yield from _rule_faults(rule, everything, groups, f"{where}.{index}")
        graph = prerequisite_graph(everything.values(), environment)
        yield from _chain_faults(graph, flag.key, where, "flag")


def many_reference_faults(
    changed: Iterable[Flag], flags: Iterable[Flag], groups: Mapping[str, SavedGroup]
) -> Iterator[Fault]:
    """The same for many flags at once, in time in proportion to all of them.

    flags: all there are, those that change as they will be.
    """
    everything = {flag.key: flag for flag in flags} | {flag.key: flag for flag in changed}
    environments: dict[str, None] = {}
    for flag in changed:
        for environment, state in flag.states.items():
            environments[environment] = None
            where = f"flags.{flag.key}.environments.{environment}.rules"
            for index, rule in enumerate(state.rules):
                yield from _rule_faults(rule, everything, groups, f"{where}.{index}")
    for environment in environments:
        graph = prerequisite_graph(everything.values(), environment)
        for key in sorted(_unsound(graph))[:10]:
            where = f"flags.{key}.environments.{environment}.rules"
            yield from _chain_faults(graph, key, where, "flag")


def _unsound(graph: Graph) -> set[str]:
    """Nodes that lead into a circle, or down a chain that is too long."""
    waits = {key: {node for node in graph[key] if node in graph} for key in graph}
    below: dict[str, list[str]] = {key: [] for key in graph}
    for key, nodes in waits.items():
        for node in nodes:
            below[node].append(key)
    n_waiting = {key: len(nodes) for key, nodes in waits.items()}
    depths = {key: 0 for key, n in n_waiting.items() if n == 0}
    ready = list(depths)
    for node in ready:  # grows while it is walked, the shallow before the deep
        for key in below[node]:
            n_waiting[key] -= 1
            if n_waiting[key] == 0:
                depths[key] = 1 + max(depths[node] for node in waits[key])
                ready.append(key)
    deep = {key for key, found in depths.items() if found > DEEPEST_CHAIN}
    return deep | (graph.keys() - depths.keys())


def _rule_faults(
    rule: RuleBase, flags: Mapping[str, Flag], groups: Mapping[str, SavedGroup], where: str
) -> Iterator[Fault]:
    for index, item in enumerate(rule.prerequisites):
        if item.flag not in flags:
            yield Fault(f"{where}.prerequisites.{index}.flag", f"there is no flag {item.flag!r}")
    for key in sorted(groups_of(rule)):
        if key not in groups:
            yield Fault(where, f"there is no saved group {key!r}")


def groups_of(rule: RuleBase) -> set[str]:
    """Keys of the saved groups that a rule refers to in any way."""
    named = {key for test in rule.saved_groups for key in test.groups}
    conditions = [rule.condition, *(item.condition for item in rule.prerequisites)]
    return named | referenced_groups(conditions)


def prerequisite_graph(flags: Iterable[Flag], environment: str) -> dict[str, set[str]]:
    """Which flags each flag depends on in an environment."""
    return {
        flag.key: {
            item.flag for rule in flag.state(environment).rules for item in rule.prerequisites
        }
        for flag in flags
    }


def group_reference_faults(group: SavedGroup, groups: Mapping[str, SavedGroup]) -> Iterator[Fault]:
    """References of a saved group that lead nowhere or back to itself."""
    everything = {**groups, group.key: group}
    graph = {key: referenced_groups(item.condition) for key, item in everything.items()}
    for key in sorted(graph[group.key]):
        if key not in everything:
            yield Fault("condition", f"there is no saved group {key!r}")
    yield from _chain_faults(graph, group.key, "condition", "saved group")


def _chain_faults(graph: Graph, start: str, where: str, what: str) -> Iterator[Fault]:
    cycle = find_cycle(graph, start)
    if cycle is not None:
        yield Fault(where, f"the {what} would depend on itself: {' -> '.join(cycle)}")
        return
    above = [key for key in graph if key != start and start in _reachable(graph, key)]
    for key in (start, *above):
        if depth(graph, key) > DEEPEST_CHAIN:
            yield Fault(where, f"the chain of {what} {key!r} is longer than {DEEPEST_CHAIN}")
            return


def find_cycle(graph: Graph, start: str) -> Sequence[str] | None:
    """A way from a node back to itself, both ends named, or None.

    >>> find_cycle({"a": ["b"], "b": ["c"], "c": ["a"]}, "a")
    ['a', 'b', 'c', 'a']
    """
    came_from: dict[str, str] = {}
    waiting = [start]
    while waiting:
        node = waiting.pop(0)
        for neighbour in sorted(graph.get(node, ())):
            if neighbour == start:
                return _way_back(came_from, start, node)
            if neighbour not in came_from:
                came_from[neighbour] = node
                waiting.append(neighbour)
    return None


def _way_back(came_from: Mapping[str, str], start: str, last: str) -> list[str]:
    way = [start]
    node = last
    while node != start:
        way.insert(1, node)
        node = came_from[node]
    return [*way, start]


def _reachable(graph: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for neighbour in graph.get(waiting.pop(), ()):
            if neighbour not in found:
                found.add(neighbour)
                waiting.append(neighbour)
    return found


def depth(graph: Graph, start: str) -> int:
    """The longest way down from a node of a graph without cycles, stopping past the deepest allowed.

    >>> depth({"a": ["b", "c"], "b": ["c"]}, "a")
    2
    """
    level, found = {start}, 0
    while found <= DEEPEST_CHAIN:
        level = {neighbour for node in level for neighbour in graph.get(node, ())}
        if not level:
            return found
        found += 1
    return found
