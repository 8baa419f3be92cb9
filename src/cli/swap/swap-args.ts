/** Reads the flags of `ramster swap`, whose meaning depends on its ACTION. */
import { SWAP_PRIORITY_MAX } from "../../core/limits.ts";
import { parseAddress } from "../../net/address.ts";
import type { GivenFlags } from "../given.ts";
import { SWAP_ACTIONS, type SwapOptions } from "../options.ts";
import { badValue, parseCount, parseGiven, refuse } from "../units.ts";

/** The flags of each action. */
const FLAGS: Record<(typeof SWAP_ACTIONS)[number], readonly string[]> = {
  on: ["nbd", "export", "device", "priority"],
  off: ["nbd", "export", "device"],
  status: [],
};

/** Throws ConfigError BAD_CONFIG in one line. */
export function readSwap(flags: GivenFlags): SwapOptions {
  const word = flags.argument("ACTION");
  const action = SWAP_ACTIONS.find((it) => it === word);
  if (action === undefined) {
    throw refuse(`Cannot run swap ${JSON.stringify(word)}: take one of ${SWAP_ACTIONS.join(", ")}`);
  }
  for (const flag of ["nbd", "export", "device", "priority"]) {
    if (flags.has(flag) && !FLAGS[action].includes(flag)) {
      throw refuse(`Cannot use --${flag} with "swap ${action}"`);
    }
  }
  if (action === "status") return { action };
  const given = flags.optional("device");
  if (given !== null && !/^\/dev\/nbd\d{1,4}$/.test(given.text)) {
    throw badValue(given, "write /dev/nbdN");
  }
  const device = given?.text ?? null;
  const [nbd, name] = [flags.optional("nbd"), flags.optional("export")];
  if (action === "off" && device !== null) {
    if (nbd === null && name === null) return { action, device };
    throw refuse('Cannot run "swap off" with --nbd or --export beside --device: take one');
  }
  if (nbd === null || name === null) {
    const which = action === "on" ? "--nbd and --export" : "--nbd and --export, or --device";
    throw refuse(`Cannot run "swap ${action}" without ${which}`);
  }
  if (name.text === "") throw badValue(name, "the name is empty");
  const bare = /^(.*)=\d+[KMGT]iB$/.exec(name.text)?.[1];
  if (bare !== undefined) throw badValue(name, `write its name alone, ${JSON.stringify(bare)}`);
  const at = { nbd: parseGiven(nbd, parseAddress), exportName: name.text };
  if (action === "off") return { action, ...at, device: null };
  const bounds = { min: 0, max: SWAP_PRIORITY_MAX };
  return { action, ...at, device, priority: parseCount(flags.value("priority"), bounds) };
}
