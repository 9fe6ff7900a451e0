"""How good translations are: BLEU and chrF by sacrebleu with their signatures, and the share that equals the reference.

Source: Papineni et al. 2002; Popovic 2015; Post 2018, arXiv:1804.08771 (sacrebleu: on texts as people write them, tokenised by it).
"""

from collections.abc import Sequence

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from rnnbench.base.canonical import Plain


def score(translations: Sequence[str], references: Sequence[str], *, lowercase: bool = False, tokenizer: str = "13a") -> dict[str, Plain]:
    """BLEU and chrF in 0..100, exact match in 0..1, and sacrebleu's signatures.

    Args:
        lowercase: Compare without capitals, for translators of lower-cased text; the signature then has case:lc.
        tokenizer: sacrebleu's, of BLEU.
    """
    bleu, chrf = BLEU(lowercase=lowercase, tokenize=tokenizer), CHRF(lowercase=lowercase)
    found = {"bleu": bleu.corpus_score(translations, [references]).score, "chrf": chrf.corpus_score(translations, [references]).score}
    said, wanted = (([text.lower() for text in texts] if lowercase else texts) for texts in (translations, references))
    right = sum(one == other for one, other in zip(said, wanted, strict=True))
    signatures = {"bleu_signature": str(bleu.get_signature()), "chrf_signature": str(chrf.get_signature())}
    return {**found, "exact_match": right / len(references), **signatures}
