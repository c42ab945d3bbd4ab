"""A page that shows the seconds of engines beside each other."""
import os
import platform
import time

MACHINE = f"{os.cpu_count()} cores, {platform.machine()}"


def page(title, about, label, results, keys):
    """`results`: seconds by engine and key, ours first. Ratios above 1: ours is slower."""
    names = list(results)
    ours, others = names[0], names[1:]
    lines = [
        f"# {title}",
        "",
        f"{about}; {MACHINE}, {time.strftime('%Y-%m-%d')}. A ratio above 1 means that Firesteel is slower.",
        "",
        f"| {label} | " + " | ".join(names) + " | " + " | ".join(f"{ours} / {name}" for name in others) + " |",
        "|---|" + "--:|" * (len(names) + len(others)),
    ]
    for key in keys:
        times = {name: results[name].get(key) for name in names}
        cells = ["–" if times[name] is None else f"{times[name]:.2f}" for name in names]
        ratios = [f"{times[ours] / times[name]:.2f}" if times[ours] and times[name] else "–" for name in others]
        lines.append(f"| {key} | " + " | ".join([*cells, *ratios]) + " |")
    return "\n".join(lines) + "\n"
