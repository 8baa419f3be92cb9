/**
 * `ramster key`: replaces the gossip keys of a running node. "add" without a key makes a new key
 * and prints it. A person then adds it to the other nodes and to their key files. "rotate" does all
 * steps on all nodes. "reload" makes the node read the certificates in its key file again, and
 * prints which file that was and whether they have changed.
 */
import type { Client } from "../client/client.ts";
import { RamsterError } from "../core/errors.ts";
import { GOSSIP_KEY_BYTES } from "../core/limits.ts";
import { oneLine } from "../core/printable.ts";
import { keyFileText, parseKeyFileReport } from "../wire/key-file-report.ts";
import { withClient } from "./door.ts";
import { EXIT, type ExitCode } from "./exit.ts";
import { type RotationShow, rotate } from "./key-rotate.ts";
import type { KeyOptions } from "./options.ts";
import { type Answer, print, printAnswer, printError } from "./print.ts";
import { aborted, stopSignal } from "./stop-signal.ts";

const KNOB = "gossip_keys";
const SETTING = /^Cannot set "(?:gossip_keys|key_file)"(?: to "[^"]*")?: /;

export async function run(options: KeyOptions): Promise<ExitCode> {
  const { action, json } = options;
  const doing = action === "rotate" ? rotateAll(options) : answer(options).catch(saying(action));
  await printAnswer(await doing, { json });
  return EXIT.DONE;
}

function rotateAll(options: KeyOptions): Promise<Answer> {
  const stop = stopSignal();
  const stopped = aborted(stop);
  const show: RotationShow = {
    // With --json, standard output is for the result.
    line: async (text) => void (options.json ? printError(text) : await print(`${text}\n`)),
    pause: (ms) => Promise.race([Bun.sleep(ms), stopped]),
    stop,
  };
  return withClient(options, (client) => rotate(client, show, options));
}

async function answer(options: KeyOptions): Promise<Answer> {
  const { action } = options;
  if (action === "reload") {
    const reload = (client: Client) => client.setKnob("key_file", "reload");
    const report = parseKeyFileReport(await withClient(options, reload));
    return { text: keyFileText(report), json: report };
  }
  const fresh = Buffer.from(crypto.getRandomValues(new Uint8Array(GOSSIP_KEY_BYTES)));
  const key = options.key ?? fresh.toString("base64");
  const { before, after } = await withClient(options, async (client) => {
    const kept = await client.getKnob(KNOB);
    const now = action === "list" ? kept : await client.setKnob(KNOB, `${action} ${key}`);
    return { before: fingerprints(kept), after: fingerprints(now) };
  });
  const made = action === "add" && options.key === null ? key : null;
  return keysAnswer(before, after, made);
}

/** The node names the setting that it refused to change, which the user has not written. */
function saying(action: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof RamsterError)) throw error;
    const reason = error.message.replace(SETTING, "");
    if (reason === error.message) throw error;
    const isWhole = reason.startsWith("Cannot ");
    throw new RamsterError(error.code, isWhole ? reason : `Cannot ${action} the key: ${reason}`);
  };
}

/** The fingerprints in the text of the knob, which another program has sent. */
export function fingerprints(knob: string): string[] {
  return knob === "none" ? [] : oneLine(knob).split(" ");
}

/**
 * A line for each fingerprint. The first one is that of the key that encrypts. `made`: the new key,
 * in base64, if one was made.
 */
export function keysAnswer(
  before: readonly string[],
  after: readonly string[],
  made: string | null,
): Answer {
  const lines = after.map((fingerprint, i) => {
    if (i === 0) return `${fingerprint}  encrypts`;
    return before.includes(fingerprint) ? fingerprint : `${fingerprint}  new`;
  });
  const text = [...(made === null ? [] : [`gossip-key = ${made}`]), ...lines];
  const json = {
    ...(made === null ? {} : { gossip_key: made }),
    keys: after.map((fingerprint, i) => ({ fingerprint, encrypts: i === 0 })),
  };
  return { text: text.length === 0 ? "none" : text.join("\n"), json };
}
