/** `ramster undrain`: ends the drain of a node. It lends again, and keeps its place in the cluster. */
import { withClient } from "./door.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import type { UndrainOptions } from "./options.ts";
import { printAnswer } from "./print.ts";

export async function run(options: UndrainOptions): Promise<ExitCode> {
  const wasDrained = await withClient(options, async (client) => {
    const before = await client.getKnob("draining");
    await client.setKnob("draining", "0");
    return before === "1";
  });
  const text = wasDrained ? "the node is in use again" : "the node was not drained";
  await printAnswer({ text, json: { was_drained: wasDrained } }, options);
  return EXIT.DONE;
}
