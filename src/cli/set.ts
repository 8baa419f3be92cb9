/**
 * `ramster set`: changes a setting of a running node, and prints the value that is now in force. On
 * a terminal the name stands before it.
 */
import { oneLine } from "../core/printable.ts";
import { withClient } from "./door.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import type { SetOptions } from "./options.ts";
import { printAnswer } from "./print.ts";

export async function run(options: SetOptions): Promise<ExitCode> {
  const { knob, value } = options;
  const inForce = oneLine(await withClient(options, (client) => client.setKnob(knob, value)));
  const name = process.stdout.isTTY === true ? `${knob} ` : "";
  await printAnswer({ text: `${name}${inForce}`, json: { [knob]: inForce } }, options);
  return EXIT.DONE;
}
