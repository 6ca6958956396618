"""Peak memory of every method on long sequences, each in a process of its own.

    python benchmarks/memory.py [--sequences 128] [--length 1000] [--methods deeplift lrp ...]

Sequences are explained 64 at a time and only scores are kept, so that 10,000 sequences need what
128 do. The model is AttnGen with its default trunk (32, 64, 64 filters). Methods that
need thousands of passes a sequence get 2 sequences.
Linux: the peak is that of the process (MiB), beside that of one that imports and does nothing.
"""

import argparse
import resource
import subprocess
import sys

SLOW = ("expected_integrated_gradients", "in_silico_mutagenesis", "occlusion")
NAMES = [
    *("saliency", "smooth_grad", "integrated_gradients", "gradient_shap"),
    *("deeplift", "lrp", "grad_cam", "attention_x_gradient", *SLOW),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sequences", type=int, default=128)
    parser.add_argument("--length", type=int, default=1000)
    parser.add_argument("--methods", nargs="+", default=NAMES)
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        print(_peak(given.alone, given.sequences, given.length))
        return
    sizes = ["--length", str(given.length), "--sequences"]
    for name in ["nothing", *given.methods]:
        count = min(2, given.sequences) if name in SLOW else given.sequences
        words = [sys.executable, __file__, "--alone", name, *sizes, str(count)]
        peak = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
        print(f"{name:30} {peak:>6} MiB, {count} sequences of {given.length} nt", flush=True)


def _peak(name: str, count: int, length: int) -> int:
    import numpy as np
    import torch

    from xaibench.dna import shuffling
    from xaibench.explanation.method_call import asks_for, explain
    from xaibench.models.attngen import AttnGen
    from xaibench.plugins.registry import load

    torch.set_num_threads(1)
    model = AttnGen(classes=2, length=length).eval()
    if name != "nothing":
        method = load("attribution", name).call
        codes = np.random.default_rng(0).integers(4, size=(count, length)).astype(np.uint8)
        references = (
            shuffling.shuffled_references(codes, 20, 0) if asks_for(method, "references") else None
        )
        targets = np.zeros(count, np.int64)
        explain(
            method,
            model,
            codes,
            targets,
            options={},
            seed=0,
            component=name,
            references=references,
        )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
