"""Every method in words: a line for anyone, what it takes for granted, the statement in full.

`anchor_of` leads from the method a report names to its place on the page.
"""

from __future__ import annotations

from rollouts.reports.method_designs import DESIGNS
from rollouts.reports.method_kinds import KNOWN, MORE
from rollouts.reports.method_text import Method

STOP_LOSS = Method(
    "stop-loss",
    "Stop-loss: the share test",
    "On which version did the events fall? Under the limit, the new version should have at most "
    "a certain share of them. When it has clearly more, it is withdrawn.",
    "Customers are assigned at random and act independently of one another; each is counted once, "
    "in the stage of the ramp in which they first met the change.",
    "Within every stretch of constant allocation the treatment's share of events is compared with "
    "its share under the tolerated ratio, by the signed root of a quasi-likelihood ratio, scaled "
    "by the dispersion seen in each arm (the pooled one as floor), with corrections for few units "
    "and for skewness. The evidence is held against an error-spending boundary on the information "
    "reached: nine tenths of the error rate until the locked deadline, most of it on the looks at "
    "which harm is usually found, and one tenth on a bound that never ends. No verdict is taken before 20 effective events and 10 in the smaller arm (5 for "
    "shares of customers). It is calibrated by simulation and asymptotic, not exact.",
    "Lan and DeMets (1983), Biometrika 70; Robbins (1970); the statistic is this project's own.",
)
EXACT = Method(
    "exact",
    "Exact test, where a plan asks for it",
    "A bet on which version the next event falls. While the change is no worse than tolerated the "
    "bet wins nothing on average, so it hardly ever grows large; when it does, the change is "
    "withdrawn. No approximation is involved, and no plan of looks.",
    "Shares of customers, or counts in which no customer is more prone to events than another; "
    "customers who arrive as the plan set it; a change that does not move when events come. It "
    "needs more customers than the share test. Where the data refute any of this, the share test "
    "takes over for good, and the report says so.",
    "Event-share e-process: under the limit each event falls on treatment with a known chance, from "
    "the assigned shares. The evidence is the mean likelihood ratio of 24 tilts of that chance, of "
    "mean at most 1 at every look under the null, so that by Ville's inequality it ever reaches "
    "1/alpha with chance at most alpha. The interval is the same bet inverted. Counts whose "
    "variance lies more than four standard errors above their mean, and splits that are not as "
    "set (anytime p below 0.001), end it: the share test is then begun at the same level, its "
    "spending from that look on. Absolute effects and harm budgets have the share test's interval.",
    "Lindon and Malek (2022), NeurIPS; Ville (1939).",
)
ABSOLUTE = Method(
    "absolute",
    "Limits in the metric's own units, and values that can be negative",
    "The difference of the two averages, stage by stage, against the limit.",
    "As for the stop-loss, and no single customer dominates: where one carries a quarter of the "
    "scatter, the report says so.",
    "Difference of means within strata, weighted harmonically; variances pooled within strata with "
    "the joint one as floor; t-transform with Satterthwaite's degrees of freedom; the same "
    "spending. No verdict before 30 units an arm.",
    "Satterthwaite (1946), Biometrics 2; Lan and DeMets (1983).",
)
INTERVAL = Method(
    "interval",
    "Intervals of guardrails and goals",
    "All changes that the same test would not rule out at this look. Picture and verdict cannot "
    "disagree, and the interval stays valid however often you look.",
    "What the stop-loss takes for granted.",
    "The share test inverted: every ratio that its boundary does not reject. Goals stand at 95 %, "
    "guardrails at their own part of the plan's error rate, in either direction.",
    "Jennison and Turnbull (1989), JRSS B 51, for repeated confidence intervals.",
)
BUDGET = Method(
    "budget",
    "Harm budget",
    "How much more harm the customers of the new version met than they would have met on the old "
    "one, as a count.",
    "What the stop-loss takes for granted; outcomes that can be added up.",
    "Events of the treatment less the control's, weighted stage by stage; score limits of both "
    "totals combined, with a spending of their own on their own information, each side at half "
    "the level. A budget is spent when harm is certain and the best estimate has reached it, or, "
    "in a strict plan, when the lower limit has.",
    "Newcombe (1998), Statistics in Medicine 17, for combining limits; Lan and DeMets (1983).",
)
OTHER_KINDS = Method(
    "other-kinds",
    "Kinds that sums cannot judge, at every look",
    "Medians and slow tails, consistency, grades and waiting times have intervals of their own, below. "
    "In a rollout each is widened so that it may be looked at as often as you like.",
    "As many customers as the plan expects, roughly; shares of the versions that never change "
    "over the stages, since all stages are taken together; 100 customers of either version.",
    "Each fixed interval is turned into a sequence valid at all looks by a normal mixture, narrowest "
    "at the planned number of customers and about half as wide again there. Asymptotic: not for rare "
    "events or money with a long tail, which the share test judges.",
    "Waudby-Smith et al. (2021), arXiv:2103.06476, theorem 2.2.",
)
SPLIT = Method(
    "split",
    "Split check",
    "Did each version get the share of customers that was configured? If not, nothing is said of "
    "effects: whatever broke the split can make any effect look real.",
    "Each customer is assigned by the hash of their own key.",
    "Chi-square test of the exposed customers against the configured shares. A customer seen in "
    "two versions is left out of every comparison and counted.",
    "Fabijan et al. (2019), KDD.",
)
FUTILITY = Method(
    "futility",
    "Can it still work?",
    "The chance that a change worth having is still shown by the deadline. Below the floor that "
    "the plan locked, the report advises to stop; nobody has to follow.",
    "The rest of the plan brings customers like those so far.",
    "Conditional power at the smallest worthwhile effect, and predictive power over what is not "
    "known of the effect, from a flat prior. Non-binding: nothing is spent on it, so overriding "
    "it breaks no other promise.",
    "Lan and Wittes (1988), Biometrics 44; Spiegelhalter, Freedman and Blackburn (1986).",
)
SEGMENTS = Method(
    "segments",
    "Channels and other segments",
    "First: do segments differ at all, more than chance would make them? Only then are they shown "
    "apart, each drawn towards the whole by as much as it is uncertain.",
    "Segments are known before the change could alter them.",
    "Cochran's Q for interaction; Holm's correction over segments; empirical-Bayes shrinkage of "
    "each segment's effect. Never a ranking.",
    "Cochran (1954), Biometrics 10; Holm (1979), Scand. J. Statistics 6.",
)
MANY = Method(
    "many",
    "Many guardrails at once",
    "The chance of a false stop is shared out over all guardrails and versions before the start, "
    "by importance, and locked.",
    "None beyond those of each test.",
    "The plan's alpha is divided by locked weights; each guardrail keeps a boundary of its own. "
    "Goals need not pay for guardrails.",
    "Schultzberg, Ankargren and Frånberg (2024).",
)
FORECAST = Method(
    "forecast",
    "Forecast of a plan",
    "The plan's own stop-loss is run on thousands of simulated rollouts before the first customer "
    "meets the change.",
    "Customers like those that earlier rollouts measured, or as you say; harm that hits all alike "
    "from the start.",
    "Independent customers with the level and scatter of the baseline, drawn exactly as multinomial "
    "counts; statistic, burn-in, spending and reserve as they will be run. Figures carry 95 % "
    "Monte-Carlo intervals. Goals: sample size, smallest change to be found and days, for looking "
    "continuously.",
    "Fleiss, Levin and Paik (2003); Chow et al. (2017), Sample Size Calculations.",
)
ONE_FILE = Method(
    "one-file",
    "A file you already have",
    "One comparison of what the file holds. Nobody locked limits before the data were seen, so "
    "nothing is called safe or harmful.",
    "One row a customer, at random assignment; one look.",
    "Newcombe's score interval for shares, Welch's t for means, the delta method with the customer "
    "as cluster for ratios; segments corrected by Holm.",
    "Newcombe (1998); Welch (1947); Deng, Knoblich and Lu (2018).",
)

METHODS = (
    STOP_LOSS,
    EXACT,
    INTERVAL,
    BUDGET,
    ABSOLUTE,
    OTHER_KINDS,
    SPLIT,
    FUTILITY,
    SEGMENTS,
    MANY,
    FORECAST,
    ONE_FILE,
    *MORE,
    *DESIGNS,
)

# What a report's method begins with or holds, and where it is explained.
_KNOWN = (
    ("share test inverted", INTERVAL),
    ("share test", STOP_LOSS),
    ("exact test", EXACT),
    ("e-process", EXACT),
    ("difference of means in strata", ABSOLUTE),
    ("score limits of both totals", BUDGET),
    ("widened so that it holds", OTHER_KINDS),
)


def anchor_of(method: str) -> str:
    """Where on the page a report's method is explained; the top of the methods if nowhere.

    >>> anchor_of("Share test: on which version did the events fall"), anchor_of("Welch's t interval")
    ('stop-loss', 'means')
    """
    held = method.lower()
    wider = ((words, known.anchor) for words, known in _KNOWN)
    return next((anchor for words, anchor in (*KNOWN, *wider) if words in held), "methods")


COUNTED = (
    ("Who", "everyone who was shown either version, not only who answered"),
    ("From when", "first sight; where the measure says so, a window after it"),
    ("Ramps", "stages are compared within themselves, then added"),
    ("One person", "all channels together; seen in two versions, left out and counted"),
    ("Repeated events", "an event sent twice counts once, by its message id"),
    ("Money and other amounts", "up to the cap, or the quantile, that the measure locks"),
    ("Many measures", "the chance of a false stop is shared out in the locked plan"),
)

REFUSED = (
    ("Too few events", "below 20 independent events there is no verdict, only a count"),
    ("Groups that differ from what was set", "effects hidden until the split is explained"),
    ("A silent feed", "no data is never a pass: the ramp holds"),
    ("A percentage of nothing", "a relative limit on values that can be negative or are zero"),
    ("Calling not yet known safe", "safe needs its own proof, at its own error rate"),
    ("Changing a limit quietly", "a locked plan changes only by a new version with a reason"),
)

LIMITS = (
    (
        "Harm that starts late or fades",
        "the verdict is about the average so far, not about today",
    ),
    (
        "Customers who influence one another",
        "one queue or one agent for both versions: the comparison is then too kind or too harsh",
    ),
    (
        "Outcomes that come late",
        "a change that alters when outcomes arrive is judged fairly only on matured customers",
    ),
    (
        "Few, huge values",
        "where one customer carries a quarter of the scatter, lock a cap",
    ),
    (
        "Calibrated, not exact",
        "the error rate was measured in the situations below; yours may be one nobody thought of",
    ),
)
