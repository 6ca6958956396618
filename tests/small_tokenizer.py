"""A byte-pair tokenizer of DNA of a few tokens, as that of DNABERT-2 is built."""

from pathlib import Path

SPECIAL = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
WORDS = ["AC", "GT", "ACGT", "TT", "TTT", "GC", "ACG"]


def write_tokenizer(
    path: Path, *, size: int = 0, marks: bool = True, special=SPECIAL, lower: bool = False
) -> Path:
    """The file; unused tokens fill it up to ``size``, without ``marks`` nothing stands around a
    sequence, and one that makes letters ``lower`` knows none of them."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    words = [*special, *"ACGT", *WORDS]
    words += [f"unused{number}" for number in range(size - len(words))]
    merges = [
        ("A", "C"),
        ("G", "T"),
        ("AC", "GT"),
        ("T", "T"),
        ("TT", "T"),
        ("G", "C"),
        ("AC", "G"),
    ]
    vocabulary = {word: place for place, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="[UNK]"))
    tokenizer.add_special_tokens([*special])
    if lower:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if marks:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
    tokenizer.save(str(path))
    return path
