/**
 * `ramster key`: replaces the gossip keys of a running node. "add" without a key makes a new key
 * and prints it. A person then adds it to the other nodes and to their key files. "reload" makes
 * the node read the certificate in its key file again.
 */
import { GOSSIP_KEY_BYTES } from "../core/limits.ts";
import { withClient } from "./door.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import type { KeyOptions } from "./options.ts";
import { print } from "./print.ts";

const KNOB = "gossip_keys";

export async function run(options: KeyOptions): Promise<ExitCode> {
  const { action } = options;
  if (action === "reload") {
    const end = await withClient(options, (client) => client.setKnob("certificate", "reload"));
    await print(`valid until ${end}\n`);
    return EXIT.DONE;
  }
  const fresh = Buffer.from(crypto.getRandomValues(new Uint8Array(GOSSIP_KEY_BYTES)));
  const key = options.key ?? fresh.toString("base64");
  const { before, after } = await withClient(options, async (client) => {
    const kept = await client.getKnob(KNOB);
    const now = action === "list" ? kept : await client.setKnob(KNOB, `${action} ${key}`);
    return { before: kept.split(" "), after: now.split(" ") };
  });
  const made = action === "add" && options.key === null ? [`gossip-key = ${key}`] : [];
  await print(`${[...made, ...ringLines(before, after)].join("\n")}\n`);
  return EXIT.DONE;
}

/** A line for each fingerprint. The first one is that of the key that encrypts. */
export function ringLines(before: readonly string[], after: readonly string[]): string[] {
  return after.map((fingerprint, i) => {
    if (fingerprint === "none") return fingerprint;
    if (i === 0) return `${fingerprint}  encrypts`;
    return before.includes(fingerprint) ? fingerprint : `${fingerprint}  new`;
  });
}
