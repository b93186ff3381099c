// The GrowthBook SDK of browsers and node, driven line by line: commands in, JSON out.
import { createInterface } from "node:readline";
import { GrowthBook, setPolyfills } from "@growthbook/growthbook";
import { EventSource } from "eventsource";

const given = JSON.parse(process.argv[2]);
const say = (told) => process.stdout.write(JSON.stringify(told) + "\n");
const tracked = [];

setPolyfills({ EventSource });
const book = new GrowthBook({
  apiHost: given.host,
  clientKey: given.client_key,
  decryptionKey: given.decryption_key,
  remoteEval: given.remote,
  attributes: given.attributes,
  trackingCallback: (experiment, result) => tracked.push([experiment.key, result.key]),
});
const began = await book.init({ timeout: 5000, streaming: given.streaming });
const value = () => ({ value: book.evalFeature(given.flag).value ?? null, tracked });
say({ success: began.success, source: began.source, ...value() });
book.setRenderer(() => say(value()));

const commands = {
  value: () => say(value()),
  refresh: () => book.refreshFeatures({ skipCache: true }).then(() => say(value())),
  attributes: (attributes) => book.setAttributes(attributes),
};
for await (const line of createInterface({ input: process.stdin })) {
  const { command, argument } = JSON.parse(line);
  if (command === "exit") break;
  await commands[command](argument);
}
book.destroy();
process.exit(0);
