"""What is the same in every NEST script."""

from __future__ import annotations

OWN_NAMES = frozenset({
    "DT", "DURATION", "Path", "arrays", "cells", "column", "connect", "count", "each", "events",
    "factor", "found", "gathered", "int", "kept", "len", "monitor", "monitors", "name", "nest",
    "nodes", "np", "offset", "order", "path", "period", "population", "print", "range",
    "recorder", "results", "round", "rows", "spikes", "steps", "sum", "sys", "traces", "trains",
    "variable", "zip",
})  # fmt: skip

UNITS = {
    "C_m": "pF",
    "g_L": "nS",
    "g_Na": "nS",
    "g_K": "nS",
    "E_L": "mV",
    "E_Na": "mV",
    "E_K": "mV",
    "E_ex": "mV",
    "E_in": "mV",
    "E_rev": "mV",
    "V_m": "mV",
    "V_th": "mV",
    "V_T": "mV",
    "V_T_star": "mV, the threshold",
    "V_reset": "mV",
    "V_peak": "mV",
    "Delta_T": "mV",
    "Delta_V": "mV, so narrow that spikes are no chance",
    "I_e": "pA",
    "w": "pA",
    "t_ref": "ms",
    "tau_m": "ms",
    "tau_w": "ms",
    "tau_syn": "ms",
    "tau_syn_ex": "ms",
    "tau_syn_in": "ms",
    "tau_rise": "ms",
    "tau_decay": "ms",
    "tau_rise_ex": "ms",
    "tau_rise_in": "ms",
    "tau_decay_ex": "ms",
    "tau_decay_in": "ms",
}

ADAPTIVE_UNITS = {"a": "nS", "b": "pA"}  # of adaptive exponential cells

CONNECT = '''

def connect(pre, post, weight, delay, model="static_synapse", **more):
    """Connect cell by cell; what is one number holds for all connections."""
    count = len(post)
    each = {"weight": weight, "delay": delay, **more}
    each = {name: np.full(count, value) for name, value in each.items()}
    nest.Connect(np.full(count, pre), post, "one_to_one", {"synapse_model": model, **each})
'''.splitlines()

GATHERED = '''

def gathered(*parts):
    """Return the nodes of a population of several models, in the order of its cells."""
    found = np.zeros(sum(len(cells) for _, cells in parts), dtype=int)
    for part, cells in parts:
        found[cells] = part.tolist()
    return found
'''.splitlines()

TRAINS = '''

def trains(steps, ends):
    """Return the spike times of each of several generators."""
    return [{"spike_times": np.multiply(found, DT)} for found in np.split(steps, ends)]
'''.splitlines()

RESULTS = """\

results = {}
for name, recorder in spikes.items():
    events = recorder.events
    steps = np.rint(events["times"] / DT).astype(int)
    kept = steps <= round(DURATION / DT)
    order = np.argsort(nodes[name])
    cells = order[np.searchsorted(nodes[name], events["senders"][kept], sorter=order)]
    results[f"{name}.steps"], results[f"{name}.cells"] = steps[kept], cells
    print(f"{name}: {len(cells)} spikes")
for monitor, (name, population, variable, cells, period, factor, offset) in zip(monitors, traces):
    events = monitor.events
    rows = np.rint(events["times"] / (period * DT)).astype(int) - 1
    order = np.argsort(nodes[population][cells])
    column = order[np.searchsorted(nodes[population][cells], events["senders"], sorter=order)]
    found = np.full((round(DURATION / DT) // period, len(cells)), np.nan)
    kept = rows < len(found)
    found[rows[kept], column[kept]] = events[variable][kept]
    found = found * factor + offset
    if name in results:
        found = np.concatenate([results[name], found], axis=1)
        cells = [*results[f"{name}.cells"], *cells]
    results[name] = found
    results[f"{name}.cells"] = np.array(cells)
np.savez_compressed(path.with_name(f"{path.stem}_results.npz"), **results)""".splitlines()
