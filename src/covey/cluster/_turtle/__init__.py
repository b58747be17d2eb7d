"""TURTLE, the labelling that linear classifiers learn most easily: the estimator and its bilevel training."""

from covey.cluster._turtle._estimator import TURTLE
from covey.cluster._turtle._selection import TurtleSelection, generalization, select_turtle

__all__ = ["TURTLE", "TurtleSelection", "generalization", "select_turtle"]
