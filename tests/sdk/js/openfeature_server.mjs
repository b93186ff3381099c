// OpenFeature's OFREP provider for servers: one evaluation per command.
import { createInterface } from "node:readline";
import { OpenFeature } from "@openfeature/server-sdk";
import { OFREPProvider } from "@openfeature/ofrep-provider";

const given = JSON.parse(process.argv[2]);
const say = (told) => process.stdout.write(JSON.stringify(told) + "\n");

await OpenFeature.setProviderAndWait(
  new OFREPProvider({
    baseUrl: given.host,
    headers: [["Authorization", `Bearer ${given.client_key}`]],
  }),
);
const client = OpenFeature.getClient();
const ask = {
  boolean: (...all) => client.getBooleanDetails(...all),
  string: (...all) => client.getStringDetails(...all),
  number: (...all) => client.getNumberDetails(...all),
  object: (...all) => client.getObjectDetails(...all),
};
for await (const line of createInterface({ input: process.stdin })) {
  const { command, argument } = JSON.parse(line);
  if (command === "exit") break;
  const [flag, fallback, context] = argument;
  say(await ask[command](flag, fallback, context));
}
process.exit(0);
