"""Every kind of measure in words, what sharpens a comparison, and how it is checked."""

from __future__ import annotations

from rollouts.reports.method_text import Method

SHARES = Method(
    "shares",
    "Share of customers",
    "How many of a hundred customers did it at least once, on either version.",
    "Each customer counts once; customers act independently.",
    "Difference by Miettinen and Nurminen's score interval, ratio by Koopman's; where events or "
    "non-events number under 20, or are as skewed as that, exact limits that go with Fisher's test. "
    "The variance is p(1 − p)/n. A ratio waits for an event on the old version.",
    "Miettinen and Nurminen (1985), Statistics in Medicine 4; Koopman (1984), Biometrics 40; Fay, "
    "Proschan and Brittain (2015), Biometrics 71.",
)
MEANS = Method(
    "means",
    "Counts and amounts per customer",
    "The average over all customers, also those with nothing. A cap, or a quantile beyond which "
    "values are cut, keeps one huge customer from deciding.",
    "Enough customers for an average to settle. A cut is the same for both versions, and what is cut "
    "off is no longer judged.",
    "Welch's t on the difference; on the ratio the logarithm, by Fieller's theorem where the new "
    "average is not clearly above zero (the plain delta method on request). Variances with n − 1. "
    "Values are cut at a locked cap, or at a quantile of both versions taken together.",
    "Welch (1947), Biometrika 34; Fieller (1954), JRSS B 16; Deng, Knoblich and Lu (2018), KDD.",
)
RATIOS = Method(
    "ratios",
    "One sum over another, such as complaints per contact",
    "All complaints over all contacts of a version, with the customer as the one who was chosen at "
    "random.",
    "The lower part is not itself what the change is meant to move: a version that brings more easy "
    "contacts has fewer complaints per contact and as many complaints.",
    "Delta method with the customers' covariance of both parts; each version's Fieller interval "
    "joined where a lower part is near zero. To count contacts as if they were customers was measured "
    "to stop falsely in 16 to 23 of 100 rollouts.",
    "Deng, Knoblich and Lu (2018), KDD; Fieller (1954), JRSS B 16; Zou and Donner (2008).",
)
QUANTILES = Method(
    "quantiles",
    "Medians and slow tails",
    "The value that half of all customers, or nine of ten, stay below. It may be taken over "
    "customers, or over all their events.",
    "Enough values beyond the quantile: of a P99, several hundred. Over events, a customer with many "
    "weighs more, by design.",
    "Two of the version's own values bound its quantile, by the binomial law; the two versions are "
    "joined by recovering each side's variance. Over events the share below is a ratio with the "
    "customer as cluster, and its error says which values are the bounds. At every look: widened by "
    "a normal mixture, or a beta-binomial mixture of each version.",
    "David and Nagaraja (2003), Order Statistics; Woodruff (1952), JASA 47; Deng, Knoblich and Lu "
    "(2018); Howard and Ramdas (2022), Bernoulli 28.",
)
TIMES = Method(
    "times",
    "How long until something happens",
    "The average time customers wait, counted up to a day that was named beforehand, with those "
    "still waiting counted as waiting.",
    "Customers who came late are like those who came early; nobody leaves our sight because of what "
    "is measured.",
    "Area between the Kaplan-Meier curves up to a horizon that both versions are watched for; log-rank "
    "test beside it; share done by a day with Greenwood's variance. Staggered entry and censoring at "
    "the data's end are allowed for.",
    "Kaplan and Meier (1958), JASA 53; Mantel (1966); Royston and Parmar (2013), BMC Medical "
    "Research Methodology 13.",
)
GRADES = Method(
    "grades",
    "Grades: stars, CSAT, NPS",
    "How likely a customer of the new version is to grade higher; the share of good grades, and of bad "
    "ones, which an average hides; promoters less detractors.",
    "Those who answer would answer alike on both versions; see surveys.",
    "Mann-Whitney with the Brunner-Munzel variance on the logit, ties counting for neither; top and low "
    "box as shares; NPS as the mean of +1, 0 and −1 with its multinomial variance.",
    "Brunner and Munzel (2000), Biometrical Journal 42; Newcombe (2006), Statistics in Medicine 25; "
    "Rocks (2016), Quality Engineering 28.",
)
SURVEYS = Method(
    "surveys",
    "Surveys: those who did not answer",
    "First: did one version answer more often? And whatever the silent would have said: the best and "
    "the worst that the effect could be.",
    "Nothing about the silent, which is the point: bounds are wide where few answer.",
    "Chi-square of answers over those asked (Fisher's test where few are expected); bounds with every "
    "silent customer at the lowest, then the highest grade, and an interval around both ends.",
    "Horowitz and Manski (2000), JASA 95; Imbens and Manski (2004), Econometrica 72.",
)
SPREAD = Method(
    "spread",
    "Consistency: is everybody served alike?",
    "How far customers lie from the middle, how the slowest tenth and the worst-off group fare.",
    "Groups were named before the start. That every group is safe needs no correction, that one is "
    "harmed does.",
    "Ratio of mean distances from the median (robust), ratio of variances on the logarithm with each "
    "version's own kurtosis; the tenth quantiles. Worst segment: non-inferiority of each by its own "
    "test, all of which must pass; harm in any under Holm.",
    "Brown and Forsythe (1974), JASA 69; Bonett (2006), CSDA 50; Berger (1982), Technometrics 24.",
)
ADJUSTED = Method(
    "adjusted",
    "Adjusted for the time before (CUPED)",
    "What customers did before they met the change explains much of what they do after. Taking that "
    "out leaves the same effect with a narrower interval; the gain is told.",
    "The change cannot have touched the time before; where the versions differed then, the adjustment "
    "is refused.",
    "Regression on the outcome before first exposure, or several covariates, with theta estimated "
    "within the versions; Welch's degrees of freedom; widened to hold at every look. Refused where "
    "covariates differ with p below 0.001, or below 50 events. Guardrails stay on plain sums.",
    "Deng, Xu, Kohavi and Walker (2013), WSDM; Lin (2013), Annals of Applied Statistics 7.",
)
POST_STRATIFIED = Method(
    "post-stratified",
    "Compared within groups known beforehand",
    "New customers are compared with new ones and old with old, then all are added up by how many there "
    "are, so that what lies between the groups blurs nothing.",
    "The groups are fixed before the change is met.",
    "Stratum by stratum, weighted by its share of all customers; strata with under two customers of a "
    "version are put together first.",
    "Miratrix, Sekhon and Yu (2013), JRSS B 75.",
)
QUALITY = Method(
    "quality",
    "Can it be believed? One grade with its reasons",
    "Did customers arrive as set, also by stage, by day and by group? Did they change sides? Did the "
    "versions differ before anyone met the change? Is a feed dead or late? Each check takes the grade "
    "down; what could not be looked at never counts as fine.",
    "Checks see only what they look at: a fault that hits both versions alike shows in none.",
    "Split: chi-square for one look, a Dirichlet mixture valid at every look; over stages the evidence "
    "of each adds; groups under Holm. Crossings: exact binomial. Before: Welch under Holm. Feeds: "
    "volume beside its own history. Not randomised designs start lower than randomised ones.",
    "Fabijan et al. (2019), KDD; Lindon and Malek (2022), NeurIPS; Kohavi, Tang and Xu (2020).",
)
DECISION = Method(
    "decision",
    "Advice on shipping: one rule over all measures",
    "Ship if one goal at least is shown to be better, every guardrail is shown to be safe, nothing is "
    "shown to have got worse and the comparison can be believed.",
    "None on how the measures depend on each other: the bounds are unions.",
    "The error rate is divided over goals; guardrails need no division, since all must pass; the "
    "chance to miss is divided over goals and guardrails. It advises and never acts.",
    "Schultzberg, Ankargren and Frånberg (2024), arXiv:2402.11609.",
)
OVER_ROLLOUTS = Method(
    "over-rollouts",
    "Many rollouts together, and luck taken off",
    "What rollouts on a measure usually did says how far to believe the next. What ships was chosen for "
    "looking good, and part of looking good is luck: each effect is drawn towards the average of all, "
    "and only then are shipped ones added up.",
    "Rollouts resemble one another: their true effects scatter around one average, without a few that "
    "are of another kind. They were chosen by what was seen, not by what somebody knew beside it. "
    "Effects last, and add up.",
    "Each rollout's effect is taken from its last snapshot with its error for one look, stage by stage. "
    "Average: random effects by Paule and Mandel with Hartung and Knapp's interval. The next, and "
    "each effect: posterior over the scatter, whose prior is flat (below five effects a half-Cauchy); the sum's interval carries what is not known of the scatter. Withdrawn "
    "rollouts are learnt from; broken splits, evidence not to be used and other definitions are left "
    "out by name. Beside it Lee and Shen's correction, by each plan's own rule. Stopping early biases "
    "an effect as seen, not one that is drawn in so.",
    "Morris (1983), JASA 78; Efron (2011), JASA 106; IntHout, Ioannidis and Borm (2014); Lee and Shen "
    "(2018), KDD.",
)

KINDS = (SHARES, MEANS, RATIOS, QUANTILES, TIMES, GRADES, SURVEYS, SPREAD)
MORE = (*KINDS, ADJUSTED, POST_STRATIFIED, QUALITY, DECISION, OVER_ROLLOUTS)

# What a report's method holds, and where it is explained: the narrower before the wider.
KNOWN = (
    ("score limits of both totals", "budget"),
    ("e-process", "exact"),
    ("difference in differences", "differences"),
    ("synthetic control", "synthetic"),
    ("interrupted time series", "interrupted"),
    ("switchback", "groups"),
    ("groups randomised", "groups"),
    ("cluster-randomised", "groups"),
    ("cuped", "adjusted"),
    ("adjusted means", "adjusted"),
    ("post-stratified", "post-stratified"),
    ("mann-whitney", "grades"),
    ("promoter", "grades"),
    ("box", "grades"),
    ("distances from the median", "spread"),
    ("ratio of variances", "spread"),
    ("restricted mean", "times"),
    ("kaplan-meier", "times"),
    ("quantile", "quantiles"),
    ("order statistic", "quantiles"),
    ("median", "quantiles"),
    ("score interval", "shares"),
    ("ratio of ratios of sums", "ratios"),
    ("ratio of sums", "ratios"),
    ("ratio of means", "means"),
    ("welch", "means"),
)
