/** `ramster get`: prints a knob of a running node, or all knobs, one on each line. */
import { allOneLine, oneLine } from "../core/printable.ts";
import { withClient } from "./door.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import type { GetOptions } from "./options.ts";
import { print } from "./print.ts";

export async function run(options: GetOptions): Promise<ExitCode> {
  const { knob } = options;
  const text = await withClient(options, async (client) => {
    if (knob !== null) return oneLine(await client.getKnob(knob));
    const { knobs } = allOneLine(await client.stats());
    return Object.entries(knobs)
      .map(([name, value]) => `${name} ${value}`)
      .join("\n");
  });
  await print(`${text}\n`);
  return EXIT.DONE;
}
