"""Where methods, metrics, models and statistics come from: *Author Year*, and the work in full."""

from __future__ import annotations

from collections.abc import Iterable

WORKS = {
    "Abnar and Zuidema 2020": "Quantifying attention flow in transformers. ACL",
    "Adebayo et al. 2018": "Sanity checks for saliency maps. NeurIPS",
    "Altschul and Erickson 1985": (
        "Significance of nucleotide sequence alignments: a method for random sequence permutation "
        "that preserves dinucleotide and codon usage. Molecular Biology and Evolution"
    ),
    "Alvarez-Melis and Jaakkola 2018": "On the robustness of interpretability methods. WHI",
    "Ancona et al. 2018": (
        "Towards better understanding of gradient-based attribution methods for deep neural "
        "networks. ICLR"
    ),
    "Arras et al. 2022": (
        "CLEVR-XAI: a benchmark dataset for the ground truth evaluation of neural network "
        "explanations. Information Fusion"
    ),
    "Bach et al. 2015": (
        "On pixel-wise explanations for non-linear classifier decisions by layer-wise relevance "
        "propagation. PLOS ONE"
    ),
    "Bahdanau et al. 2015": (
        "Neural machine translation by jointly learning to align and translate. ICLR"
    ),
    "Banerjee 1961": (
        "On confidence interval for two-means problem based on separate estimates of variances and "
        "tabulated values of t-table. Sankhya A"
    ),
    "Bell and McCaffrey 2002": (
        "Bias reduction in standard errors for linear regression with multi-stage samples. Survey "
        "Methodology"
    ),
    "Bhatt et al. 2020": "Evaluating and aggregating feature-based model explanations. IJCAI",
    "Davis and Goadrich 2006": ("The relationship between precision-recall and ROC curves. ICML"),
    "DeYoung et al. 2020": "ERASER: a benchmark to evaluate rationalized NLP models. ACL",
    "Erion et al. 2021": (
        "Improving performance of deep learning models with axiomatic attribution priors and "
        "expected gradients. Nature Machine Intelligence"
    ),
    "Grešová et al. 2023": (
        "Genomic benchmarks: a collection of datasets for genomic sequence classification. BMC "
        "Genomic Data"
    ),
    "Hall 1992": (
        "On the removal of skewness by transformation. Journal of the Royal Statistical Society B"
    ),
    "Hanley and McNeil 1982": (
        "The meaning and use of the area under a receiver operating characteristic (ROC) curve. "
        "Radiology"
    ),
    "Holm 1979": (
        "A simple sequentially rejective multiple test procedure. Scandinavian Journal of "
        "Statistics"
    ),
    "Hooker et al. 2019": (
        "A benchmark for interpretability methods in deep neural networks. NeurIPS"
    ),
    "Hurley and Rickard 2009": (
        "Comparing measures of sparsity. IEEE Transactions on Information Theory"
    ),
    "Kendall 1945": "The treatment of ties in ranking problems. Biometrika",
    "Kokhlikyan et al. 2020": (
        "Captum: a unified and generic model interpretability library for PyTorch. arXiv 2009.07896"
    ),
    "Lundberg and Lee 2017": "A unified approach to interpreting model predictions. NeurIPS",
    "Majdandzic et al. 2023": (
        "Correcting gradient-based interpretations of deep neural networks for genomics. Genome "
        "Biology"
    ),
    "Montavon et al. 2019": (
        "Layer-wise relevance propagation: an overview. In: Explainable AI, Springer"
    ),
    "Paszke et al. 2019": (
        "PyTorch: an imperative style, high-performance deep learning library. NeurIPS"
    ),
    "Petsiuk et al. 2018": (
        "RISE: randomized input sampling for explanation of black-box models. BMVC"
    ),
    "Rong et al. 2022": (
        "A consistent and efficient evaluation strategy for attribution methods. ICML"
    ),
    "Samek et al. 2017": (
        "Evaluating the visualization of what a deep neural network has learned. IEEE Transactions "
        "on Neural Networks and Learning Systems"
    ),
    "Schulz et al. 2020": ("Restricting the flow: information bottlenecks for attribution. ICLR"),
    "Selvaraju et al. 2017": (
        "Grad-CAM: visual explanations from deep networks via gradient-based localization. ICCV"
    ),
    "Serrano and Smith 2019": "Is attention interpretable? ACL",
    "Shrikumar et al. 2016": (
        "Not just a black box: learning important features through propagating activation "
        "differences. arXiv 1605.01713"
    ),
    "Shrikumar et al. 2017": (
        "Learning important features through propagating activation differences. ICML"
    ),
    "Simonyan et al. 2014": (
        "Deep inside convolutional networks: visualising image classification models and saliency "
        "maps. ICLR workshop"
    ),
    "Smilkov et al. 2017": "SmoothGrad: removing noise by adding noise. arXiv 1706.03825",
    "Sturmfels et al. 2020": ("Visualizing the impact of feature attribution baselines. Distill"),
    "Sundararajan et al. 2017": "Axiomatic attribution for deep networks. ICML",
    "Yeh et al. 2019": "On the (in)fidelity and sensitivity of explanations. NeurIPS",
    "Zeiler and Fergus 2014": "Visualizing and understanding convolutional networks. ECCV",
    "Zhang et al. 2018": (
        "Top-down neural attention by excitation backprop. International Journal of Computer Vision"
    ),
    "Zhou and Troyanskaya 2015": (
        "Predicting effects of noncoding variants with deep learning-based sequence model. Nature "
        "Methods"
    ),
}
"""*Author Year* -> title and venue."""

METHODS = {
    "saliency": ("Simonyan et al. 2014",),
    "input_x_gradient": ("Shrikumar et al. 2016",),
    "smooth_grad": ("Smilkov et al. 2017",),
    "integrated_gradients": ("Sundararajan et al. 2017",),
    "expected_integrated_gradients": ("Sturmfels et al. 2020",),
    "gradient_shap": ("Lundberg and Lee 2017", "Erion et al. 2021"),
    "deeplift": ("Shrikumar et al. 2017", "Lundberg and Lee 2017"),
    "lrp": ("Bach et al. 2015", "Montavon et al. 2019"),
    "grad_cam": ("Selvaraju et al. 2017",),
    "in_silico_mutagenesis": ("Zhou and Troyanskaya 2015",),
    "occlusion": ("Zeiler and Fergus 2014",),
    "attention": ("Bahdanau et al. 2015",),
    "attention_x_gradient": ("Serrano and Smith 2019",),
    "attention_rollout": ("Abnar and Zuidema 2020",),
}
"""Plug-in of attribution -> where it comes from."""

METRICS = {
    "deletion": ("Petsiuk et al. 2018",),
    "insertion": ("Petsiuk et al. 2018",),
    "area_between": ("Schulz et al. 2020",),
    "aopc": ("Samek et al. 2017",),
    "comprehensiveness": ("DeYoung et al. 2020",),
    "sufficiency": ("DeYoung et al. 2020",),
    "flip_rate": ("Serrano and Smith 2019",),
    "flip_fraction": ("Serrano and Smith 2019",),
    "road": ("Rong et al. 2022",),
    "roar": ("Hooker et al. 2019",),
    "infidelity": ("Yeh et al. 2019",),
    "sensitivity_n": ("Ancona et al. 2018",),
    "auprc": ("Davis and Goadrich 2006",),
    "auroc": ("Hanley and McNeil 1982",),
    "relevance_mass": ("Arras et al. 2022",),
    "relevance_rank": ("Arras et al. 2022",),
    "pointing_game": ("Zhang et al. 2018",),
    "substitution_sensitivity": ("Yeh et al. 2019",),
    "lipschitz": ("Alvarez-Melis and Jaakkola 2018",),
    "cascading_randomisation": ("Adebayo et al. 2018",),
    "independent_randomisation": ("Adebayo et al. 2018",),
    "random_label_similarity": ("Adebayo et al. 2018",),
    "gini": ("Hurley and Rickard 2009",),
    "entropy": ("Bhatt et al. 2020",),
}
"""Plug-in of a metric -> where it comes from."""

CORRECTED = {
    *("saliency", "input_x_gradient", "smooth_grad", "integrated_gradients"),
    *("expected_integrated_gradients", "gradient_shap", "attention_x_gradient"),
}
"""The methods that take the mean over the bases from a gradient."""

SHUFFLED = {"deeplift", "expected_integrated_gradients", "gradient_shap"}
"""The methods that compare a sequence with dinucleotide shuffles of itself."""


def cited(name: str, works: Iterable[str]) -> str:
    """A name with its sources in brackets.

    >>> cited("LRP", ["Bach et al. 2015", "Montavon et al. 2019"])
    'LRP (Bach et al. 2015; Montavon et al. 2019)'
    """
    told = "; ".join(works)
    return f"{name} ({told})" if told else name
