/**
 * `ramster get`: prints a setting or counter of a running node, or all settings, a line each.
 */
import { allOneLine, oneLine } from "../core/printable.ts";
import { withClient } from "./door.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import type { GetOptions } from "./options.ts";
import { printAnswer } from "./print.ts";

export async function run(options: GetOptions): Promise<ExitCode> {
  const { knob } = options;
  const answer = await withClient(options, async (client) => {
    if (knob === null) {
      const { knobs } = allOneLine(await client.stats());
      const lines = Object.entries(knobs).map(([name, value]) => `${name} ${value}`);
      return { text: lines.join("\n"), json: knobs };
    }
    const value = oneLine(await client.getKnob(knob));
    return { text: value, json: { [knob]: value } };
  });
  await printAnswer(answer, options);
  return EXIT.DONE;
}
