// Evaluates every flag of each payload read from stdin, one JSON line in and one out.
const { GrowthBook } = require("@growthbook/growthbook");
const readline = require("node:readline");

console.error = () => {}; // the SDK reports unknown operators there

function evaluate({ features, savedGroups, attributes, forcedVariations, url }) {
  const results = {};
  for (const key of Object.keys(features)) {
    const tracked = [];
    const client = new GrowthBook({
      features,
      savedGroups,
      attributes,
      forcedVariations,
      url,
      trackingCallback: (experiment, result) => tracked.push([experiment.key, result.variationId]),
    });
    const { value, source, on, ruleId, experimentResult } = client.evalFeature(key);
    results[key] = { value, source, on, ruleId, experimentResult, tracked };
  }
  return results;
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  process.stdout.write(JSON.stringify(evaluate(JSON.parse(line))) + "\n");
});
