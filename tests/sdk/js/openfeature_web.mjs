// OpenFeature's OFREP provider for browsers, with its event stream.
import { createInterface } from "node:readline";
import { EventSource } from "eventsource";
import { OpenFeature, ProviderEvents } from "@openfeature/web-sdk";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";

const given = JSON.parse(process.argv[2]);
const say = (told) => process.stdout.write(JSON.stringify(told) + "\n");
globalThis.EventSource = EventSource;

await OpenFeature.setContext(given.context);
const provider = new OFREPWebProvider({
  baseUrl: given.host,
  headers: [["Authorization", `Bearer ${given.client_key}`]],
  cacheMode: "disabled",
});
await OpenFeature.setProviderAndWait(provider);
const client = OpenFeature.getClient();
client.addHandler(ProviderEvents.ConfigurationChanged, (event) =>
  say({ changed: event.flagsChanged ?? [], ...client.getBooleanDetails(given.flag, false) }),
);
say(client.getBooleanDetails(given.flag, false));
for await (const line of createInterface({ input: process.stdin })) {
  const { command, argument } = JSON.parse(line);
  if (command === "exit") break;
  if (command === "context") await OpenFeature.setContext(argument);
  say(client.getBooleanDetails(given.flag, false));
}
await OpenFeature.close();
process.exit(0);
