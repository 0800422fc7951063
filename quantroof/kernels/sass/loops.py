"""Natural loops of a function: which instructions repeat, independent of their order in the listing.

A branch backwards is not yet a loop: retries of a barrier wait are placed behind the function's end and jump
back into the middle. A loop is an edge to a block that dominates its source (Aho, Sethi, Ullman, section
10.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantroof.kernels.sass.listing import Instruction

_LEAVES = {"EXIT", "RET"}


@dataclass(frozen=True, slots=True)
class Loop:
    """Blocks of a natural loop, by index, with all their instructions in address order."""

    header: int
    blocks: frozenset[int]
    instructions: tuple[Instruction, ...]


def natural_loops(instructions: Sequence[Instruction]) -> tuple[Loop, ...]:
    """All natural loops; loops that share a header are one."""
    blocks = _basic_blocks(instructions)
    successors = _successors(blocks)
    dominators = _dominators(successors)
    bodies: dict[int, set[int]] = {}
    for source, targets in enumerate(successors):
        for header in targets:
            if source in dominators and header in dominators[source]:
                bodies.setdefault(header, {header}).update(_body(header, source, successors))
    return tuple(
        Loop(header, frozenset(body), tuple(i for b in sorted(body) for i in blocks[b]))
        for header, body in bodies.items()
    )


def innermost(loops: Sequence[Loop], *, ignore_below: int = 8) -> tuple[Instruction, ...] | None:
    """The longest loop that holds no other working loop, or None.

    A spin on a barrier is a loop of a few instructions: those below `ignore_below` are neither returned nor
    reasons to call the loop around them an outer one.
    """
    working = [loop for loop in loops if len(loop.instructions) >= ignore_below]
    leaves = [a for a in working if not any(b.blocks < a.blocks for b in working)]
    return max((loop.instructions for loop in leaves), key=len, default=None)


def _basic_blocks(instructions: Sequence[Instruction]) -> list[list[Instruction]]:
    leaders = {instructions[0].address} if instructions else set()
    for here, following in zip(instructions, [*instructions[1:], None], strict=True):
        target = here.branch_target
        if target is not None:
            leaders.add(target)
        if following is not None and (target is not None or here.base in _LEAVES):
            leaders.add(following.address)
    blocks: list[list[Instruction]] = []
    for instruction in instructions:
        if instruction.address in leaders or not blocks:
            blocks.append([])
        blocks[-1].append(instruction)
    return blocks


def _successors(blocks: list[list[Instruction]]) -> list[list[int]]:
    starts = {block[0].address: index for index, block in enumerate(blocks)}
    edges = []
    for index, block in enumerate(blocks):
        last = block[-1]
        conditional = last.guarded or "," in last.operands
        falls_through = conditional or (last.branch_target is None and last.base not in _LEAVES)
        targets = [starts[last.branch_target]] if last.branch_target in starts else []
        if falls_through and index + 1 < len(blocks):
            targets.append(index + 1)
        edges.append(targets)
    return edges


def _dominators(successors: list[list[int]]) -> dict[int, set[int]]:
    """For every block reachable from the entry, the blocks that every path to it passes."""
    predecessors: dict[int, list[int]] = {}
    reachable, stack = {0}, [0]
    while stack:
        source = stack.pop()
        for target in successors[source]:
            predecessors.setdefault(target, []).append(source)
            if target not in reachable:
                reachable.add(target)
                stack.append(target)
    dominators = {block: set(reachable) for block in reachable}
    dominators[0] = {0}
    changed = True
    while changed:
        changed = False
        for block in sorted(reachable - {0}):
            new = set.intersection(*(dominators[p] for p in predecessors[block])) | {block}
            if new != dominators[block]:
                dominators[block], changed = new, True
    return dominators


def _body(header: int, source: int, successors: list[list[int]]) -> set[int]:
    """Blocks that reach `source` without passing `header`."""
    body, stack = {header, source}, [] if source == header else [source]
    while stack:
        block = stack.pop()
        for predecessor, targets in enumerate(successors):
            if block in targets and predecessor not in body:
                body.add(predecessor)
                stack.append(predecessor)
    return body
