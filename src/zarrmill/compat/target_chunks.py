"""rechunker's ways to say chunks, as one tuple for each array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zarrmill.compat.sources import Source
from zarrmill.errors import InvalidInputError, NotFoundError
from zarrmill.grid import Shape


def chunks_by_path(source: Source, target_chunks: Any) -> dict[str, Shape]:
    """Return the chunks asked for, by the path of each array that is wanted.

    Raises InvalidInputError for requests that do not fit the source, NotFoundError for arrays that it has not.
    """
    if source.is_array:
        return {"": array_chunks(source, "", target_chunks)}
    if not isinstance(target_chunks, Mapping):
        what = "a dataset" if source.dataset else "a group"
        raise InvalidInputError(f"target_chunks must be a dict for {what}, not {target_chunks!r}.")
    if source.dataset:
        return _dataset_chunks(source, target_chunks)
    if not target_chunks:
        raise InvalidInputError(f"target_chunks names no array. The group has {sorted(source.layouts)}.")
    return {name.strip("/"): array_chunks(source, name.strip("/"), asked) for name, asked in target_chunks.items()}


def array_chunks(source: Source, path: str, asked: Any) -> Shape:
    """Return the chunks asked for one array: a length per axis, a dict with every dimension, or None for its own."""
    if path not in source.layouts:
        raise NotFoundError(f"array {path!r} is not in the source. It has {sorted(source.layouts)}.")
    layout, name = source.layouts[path], path or "array"
    if asked is None:
        return source.own_chunks.get(path, layout.chunks)
    if isinstance(asked, Mapping):
        dims = source.dims(path) or ()
        missing = [dim for dim in dims if dim not in asked]
        if missing or not dims:
            raise InvalidInputError(
                f"{name}: target_chunks must name every dimension. It has {list(dims)}, named are {list(asked)}."
            )
        return _lengths([asked[dim] for dim in dims], layout.shape, name)
    if isinstance(asked, str) or not isinstance(asked, Sequence):
        raise InvalidInputError(f"{name}: target_chunks {asked!r} is no tuple, dict or None.")
    return _lengths(asked, layout.shape, name)


def _lengths(asked: Sequence[Any], shape: Shape, name: str) -> Shape:
    """Return chunk lengths as integers; what is no length is left to the engine's own check."""
    if len(asked) != len(shape):
        raise InvalidInputError(f"{name}: target_chunks {tuple(asked)} must have length {len(shape)}.")
    try:
        return tuple(int(length) for length in asked)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{name}: target_chunks {tuple(asked)} must be whole numbers, -1 for all.") from error


def _dataset_chunks(source: Source, asked: Mapping[Any, Any]) -> dict[str, Shape]:
    """Return the chunks of all variables: by dimension where every name is one, else by variable."""
    layouts = {path: layout for path, layout in source.layouts.items() if "/" not in path}
    dims = {dim for layout in layouts.values() for dim in layout.dims or ()}
    if all(name in dims and isinstance(length, int) for name, length in asked.items()):
        return {path: _by_dimension(source, path, asked) for path in layouts}
    for name in asked:
        if name not in layouts:
            raise InvalidInputError(
                f"target_chunks names {name!r}, which is no variable of the dataset. It has {sorted(layouts)}; "
                f"dimensions, without variables, are {sorted(map(str, dims))}."
            )
    return {path: array_chunks(source, path, asked.get(path)) for path in layouts}


def _by_dimension(source: Source, path: str, asked: Mapping[Any, int]) -> Shape:
    """Return one variable's chunks: a dimension not named keeps dask's chunks, and is whole without."""
    layout = source.layouts[path]
    own = source.own_chunks.get(path, layout.shape)
    named = [asked.get(dim, chunk) for dim, chunk in zip(layout.dims or (), own, strict=True)]
    return tuple(max(1, n) if c < 0 or c > n else c for c, n in zip(named, layout.shape, strict=True))
