"""Options in groups: a group declares its options once, in a frozen dataclass, and folds them into configuration values.

To add an option: one field in its group, one word in that group's fold. Every command that takes the group has it.
"""

from openr_data.cli.options.engine import EngineOptions
from openr_data.cli.options.executor import ExecutorOptions
from openr_data.cli.options.grouping import grouped
from openr_data.cli.options.method import Method, MethodOptions
from openr_data.cli.options.price import PriceOptions
from openr_data.cli.options.run import RunningOptions
from openr_data.cli.options.sampling import InheritedSamplingOptions, SamplingOptions, VerdictOptions
from openr_data.cli.options.search import PrmOptions, SearchOptions
from openr_data.cli.options.second import JudgeOptions, ProverOptions, SummariserOptions
from openr_data.cli.options.shared import BaseUrl, Device, DryRun, Grader, Json, Out, Seed, Slots, Solutions
from openr_data.cli.options.source import ProblemOptions, SolutionOptions

__all__ = [
    "BaseUrl",
    "Device",
    "DryRun",
    "EngineOptions",
    "ExecutorOptions",
    "Grader",
    "InheritedSamplingOptions",
    "Json",
    "JudgeOptions",
    "Method",
    "MethodOptions",
    "Out",
    "PriceOptions",
    "PrmOptions",
    "ProblemOptions",
    "ProverOptions",
    "RunningOptions",
    "SamplingOptions",
    "SearchOptions",
    "Seed",
    "Slots",
    "SolutionOptions",
    "Solutions",
    "SummariserOptions",
    "VerdictOptions",
    "grouped",
]
