"""Losses as pure functions: tensors in, tensor out, the equation beside each.

Start with `covey.objectives.temi`. Everything takes log-probabilities; nothing here keeps state or trains.
"""

from covey.objectives.coding_length import CodingLength, coding_length, gaussian_code_lengths
from covey.objectives.cpp import (
    MLCLoss,
    cluster_coding_rate,
    coding_rate,
    doubly_stochastic,
    mlc_loss,
    similarity_scores,
    sinkhorn_potentials,
    solve_gamma,
)
from covey.objectives.entropy import conditional_entropy, entropy, marginal_entropy, mean_log_probabilities
from covey.objectives.mmdc import (
    MeansKind,
    assign_one_to_one,
    assign_to_capacities,
    draw_components,
    draw_noise,
    draw_targets,
    nearest_means,
    rotation_loss,
    target_loss,
    target_means,
)
from covey.objectives.scan import scan_loss
from covey.objectives.scp import balance_entropy, confidence_loss, scp_loss, view_cross_entropy
from covey.objectives.temi import (
    distilled_scan_loss,
    pair_weights,
    pointwise_mutual_information,
    symmetric_loss,
    temi_loss,
    update_class_prior,
)
from covey.objectives.turtle import classifier_loss, mean_labels, turtle_loss

__all__ = [
    "pointwise_mutual_information",
    "update_class_prior",
    "pair_weights",
    "temi_loss",
    "symmetric_loss",
    "distilled_scan_loss",
    "scan_loss",
    "scp_loss",
    "view_cross_entropy",
    "confidence_loss",
    "balance_entropy",
    "classifier_loss",
    "mean_labels",
    "turtle_loss",
    "coding_rate",
    "cluster_coding_rate",
    "mlc_loss",
    "MLCLoss",
    "coding_length",
    "CodingLength",
    "gaussian_code_lengths",
    "similarity_scores",
    "sinkhorn_potentials",
    "solve_gamma",
    "doubly_stochastic",
    "assign_one_to_one",
    "assign_to_capacities",
    "MeansKind",
    "target_means",
    "draw_components",
    "draw_targets",
    "draw_noise",
    "target_loss",
    "rotation_loss",
    "nearest_means",
    "entropy",
    "marginal_entropy",
    "conditional_entropy",
    "mean_log_probabilities",
]
