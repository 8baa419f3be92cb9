/** The meaning of the flags of `ramster swap`, which depends on its ACTION. */
import { SWAP_PRIORITY_MAX } from "../core/limits.ts";
import { parseAddress } from "../net/address.ts";
import type { GivenFlags } from "./given.ts";
import { SWAP_ACTIONS, type SwapOptions } from "./options.ts";
import { badValue, parseCount, refuse, said } from "./units.ts";

/** Throws ConfigError BAD_CONFIG in one line. */
export function readSwap(flags: GivenFlags): SwapOptions {
  const word = flags.argument("ACTION");
  const action = SWAP_ACTIONS.find((it) => it === word);
  if (action === undefined) {
    throw refuse(`Cannot run swap ${JSON.stringify(word)}: take one of ${SWAP_ACTIONS.join(", ")}`);
  }
  if (action === "status") return { action };
  const given = flags.optional("device");
  if (given !== null && !/^\/dev\/nbd\d{1,4}$/.test(given.text)) {
    throw badValue(given, "write /dev/nbdN");
  }
  const device = given?.text ?? null;
  if (action === "off" && device !== null) return { action, device };
  const [nbd, name] = [flags.optional("nbd"), flags.optional("export")];
  if (nbd === null || name === null) {
    const which = action === "on" ? "--nbd and --export" : "--nbd and --export, or --device";
    throw refuse(`Cannot run "swap ${action}" without ${which}`);
  }
  if (name.text === "") throw badValue(name, "the name is empty");
  const at = { nbd: said(nbd, () => parseAddress(nbd.text)), exportName: name.text };
  if (action === "off") return { action, ...at, device: null };
  const bounds = { min: 0, max: SWAP_PRIORITY_MAX };
  return { action, ...at, device, priority: parseCount(flags.value("priority"), bounds) };
}
