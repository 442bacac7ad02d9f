"""Rules about the constants of the configuration: epsilon and the rotary base, against what models use."""

from __future__ import annotations

from collections.abc import Iterator

from diag.checkpoints.audit.facts import CheckpointFacts
from diag.checkpoints.audit.rule import NOTHING, AuditFinding, AuditRule, Check
from diag.results.thresholds_checkpoints import EPS_LARGE, EPS_SMALL, PLAIN_THETA, SHORT_CONTEXT

LARGE = AuditRule(
    "eps_large",
    "warning",
    "rms_norm_eps is {eps:g}; models use 1e-5 or 1e-6. From 1e-3 up it costs loss.",
    "Compare config.json with the one published beside the weights.",
    "rms_norm_eps above 1e-4 (1e-3 was measured to cost loss, 1e-4 not)",
    "rms_norm_eps of 1e-3",
)
SMALL = AuditRule(
    "eps_small",
    "info",
    "rms_norm_eps is {eps:g}; models use 1e-5 or 1e-6. So small a value does no harm in float32.",
    NOTHING,
    "rms_norm_eps below 1e-8",
    "rms_norm_eps of 1e-12",
)
THETA_UNUSUAL = AuditRule(
    "theta_unusual",
    "info",
    "rope_theta is {theta:g}; published {family} models use {usual}.",
    "Check it against the training configuration: a wrong base costs more, the longer the text.",
    "a base that no published model of the family has (10,000 is let pass up to 8,192 positions)",
    "rope_theta of 10,000 for 32,768 positions",
)


def check_constants(facts: CheckpointFacts) -> Iterator[AuditFinding]:
    """Reads no tensor."""
    family, config = facts.checkpoint.family, facts.checkpoint.model
    if family is None or config is None:
        return
    if config.rms_norm_eps > EPS_LARGE.value:
        yield LARGE.finding(eps=config.rms_norm_eps)
    elif config.rms_norm_eps < EPS_SMALL.value:
        yield SMALL.finding(eps=config.rms_norm_eps)
    usual = family.published_theta
    plain = config.rope_theta == PLAIN_THETA.value and config.max_position_embeddings <= SHORT_CONTEXT.value
    if usual and config.rope_theta not in usual and not plain:
        named = " or ".join(f"{theta:,.0f}" for theta in usual)
        yield THETA_UNUSUAL.finding(theta=config.rope_theta, family=family.name, usual=named)


CHECK = Check((LARGE, SMALL, THETA_UNUSUAL), check_constants)
