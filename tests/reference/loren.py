"""LOREN with a frozen curvature in each step, in plain numpy with the matrices written out."""

import numpy as np


def loren(
    loss,
    x,
    curvature,
    noise,
    *,
    learning_rate,
    radius,
    rho,
    curvature_learning_rate,
    temperature,
    momentum,
    structure,
    momentum_per_query=False,
    weight_decay=0.0,
    decayed=(),
):
    """Runs one step for every entry of `noise` and returns (x, curvature).

    Args:
      loss: params -> float.
      x: a dict of float64 arrays, (rows, columns) or (columns,).
      curvature: a dict of a, (columns,).
      noise: for every step a list of dicts like x, the white noise u of every query.
      learning_rate: η.
      radius: ε.
      rho: ρ.
      curvature_learning_rate: η_a.
      temperature: τ.
      momentum: β, of the matrices.
      structure: "row_blocks" or "whole_tensor".
      momentum_per_query: whether the momentum moves with every query, as in the official code.
      weight_decay: λ.
      decayed: names of the arrays that decay.
    """
    x = {name: np.array(value, np.float64) for name, value in x.items()}
    curvature = {name: np.array(a, np.float64) for name, a in curvature.items()}
    buffers = {name: np.zeros_like(value) for name, value in x.items() if value.ndim == 2}
    for queries in noise:
        count = len(queries)
        hessians = {
            name: rho * np.eye(side) + np.outer(a, a)
            for name, (side, a) in _tiled(x, curvature, structure).items()
        }
        roots = {name: _root(rho * np.linalg.inv(h)) for name, h in hessians.items()}
        moved = [
            {name: _blocks(u[name], roots[name]).reshape(x[name].shape) for name in x}
            for u in queries
        ]
        losses = [loss({name: x[name] + radius * z[name] for name in x}) for z in moved]
        weights = [f - sum(losses) / count for f in losses]
        for name in x:
            tiled = _tiled(x, curvature, structure)[name][1]
            estimate = np.zeros_like(x[name])
            score = np.zeros_like(tiled)
            for w, z in zip(weights, moved, strict=True):
                term = w / (radius * (count - 1)) * z[name]
                if name in buffers and momentum_per_query:
                    term = buffers[name] = momentum * buffers[name] + term
                estimate += term
                blocks = z[name].reshape(-1, len(tiled))
                gradient = len(blocks) * np.linalg.solve(hessians[name], tiled)
                for row in blocks:
                    gradient = gradient - (tiled @ row) * row / rho
                score += w / (count - 1) * np.sqrt(rho) * gradient
            if name in buffers and not momentum_per_query:
                estimate = buffers[name] = momentum * buffers[name] + estimate
            if name in decayed:
                estimate = estimate + weight_decay * x[name]
            x[name] = x[name] - learning_rate * estimate
            by_row = score.reshape(-1, len(curvature[name])).sum(0)
            curvature[name] = curvature[name] - curvature_learning_rate * temperature * by_row
    return x, curvature


def _tiled(x, curvature, structure):
    """name -> (side of a block of the curvature, its vector)."""
    if structure == "row_blocks":
        return {name: (len(a), a) for name, a in curvature.items()}
    return {
        name: (x[name].size, np.tile(a, x[name].size // len(a))) for name, a in curvature.items()
    }


def _root(matrix):
    """The positive-definite root."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(np.sqrt(values)) @ vectors.T


def _blocks(u, root):
    return np.asarray(u, np.float64).reshape(-1, len(root)) @ root
