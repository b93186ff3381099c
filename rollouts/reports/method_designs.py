"""What was not assigned customer by customer: designs whose evidence rests on less."""

from __future__ import annotations

from rollouts.reports.method_text import Method

GROUPS = Method(
    "groups",
    "Teams, shops or stretches of time chosen at random",
    "Where customers cannot be split, their groups are, or the versions take turns. Then the number of "
    "groups is what counts, however many customers they have.",
    "Groups are assigned by lot; what one gets does not reach another; of turns, that one leaves "
    "nothing behind for the next.",
    "Difference of means with the group as cluster: CR2 errors with Satterthwaite's degrees of freedom, "
    "or the wild cluster bootstrap where groups are few. Turns: regression on version and stretch, a "
    "wash-out left out, and a test whether the version before still shows.",
    "Bell and McCaffrey (2002), Survey Methodology 28; Cameron, Gelbach and Miller (2008), REStat 90; "
    "Bojinov, Simchi-Levi and Zhao (2023), Management Science 69.",
)
DIFFERENCES = Method(
    "differences",
    "Difference in differences",
    "What changed where the change came, less what changed elsewhere in the same time.",
    "Both sides would have moved alike. What they did before is shown beside the effect, and drifting "
    "apart then spoils it. Nobody chose the places by lot, so the evidence starts as fair, not strong.",
    "Each group is reduced to its own change of mean, so that memory over time does no harm; CR2 errors "
    "over groups, or the wild cluster bootstrap; a test of the trends before.",
    "Bertrand, Duflo and Mullainathan (2004), QJE 119; Bell and McCaffrey (2002); Roth (2022), AER: "
    "Insights 4, for why no drift seen is not yet no drift.",
)
SYNTHETIC = Method(
    "synthetic",
    "One place against a blend of others",
    "Where one place alone got the change, a blend of others that moved as it did before stands in for "
    "what it would have done.",
    "The others were not reached by the change, and go on moving as before.",
    "Weights of 0 or more that sum to 1 and fit the time before. Every other place is given a pretended "
    "change: the p-value is the rank of the true gap among these placebos, the interval all effects "
    "that rank does not rule out. With k others no level beyond k/(k + 1) can be had.",
    "Abadie, Diamond and Hainmueller (2010), JASA 105; Firpo and Possebom (2018), J. Causal Inference 6; "
    "Ferman and Pinto (2021), Quantitative Economics 12.",
)
INTERRUPTED = Method(
    "interrupted",
    "Before and after, one series",
    "The change came to everybody on one day: the series after it against what it was heading for.",
    "Nothing else happened that day. This is the weakest design we judge by, and is always called weak.",
    "Least squares with trend and seasons; errors robust to autocorrelation, corrected for the memory of "
    "the deviations and for few periods. In simulation nominal 95 % covered 92 to 98 % where a deviation "
    "fades from one period to the next, 86 to 94 % where it drifts: it is not exact.",
    "Wagner et al. (2002), J. Clin. Pharm. Ther. 27; Newey and West (1987), Econometrica 55; Lazarus, "
    "Lewis, Stock and Watson (2018), JBES 36.",
)

DESIGNS = (GROUPS, DIFFERENCES, SYNTHETIC, INTERRUPTED)
