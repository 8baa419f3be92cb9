/** `ramster undrain`: ends the drain of a node. It lends again, and keeps its place in the cluster. */
import { withClient } from "./door.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import type { DoorOptions } from "./options.ts";
import { print } from "./print.ts";

export async function run(options: DoorOptions): Promise<ExitCode> {
  const wasDrained = await withClient(options, async (client) => {
    const before = await client.getKnob("draining");
    await client.setKnob("draining", "0");
    return before === "1";
  });
  await print(wasDrained ? "the node is in use again\n" : "the node was not drained\n");
  return EXIT.DONE;
}
