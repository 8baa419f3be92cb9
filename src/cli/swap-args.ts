/** The meaning of the flags of `ramster swap`, which depends on its ACTION. */
import { ConfigError } from "../core/errors.ts";
import { SWAP_PRIORITY_MAX } from "../core/limits.ts";
import { type Address, parseAddress } from "../net/address.ts";
import type { GivenFlags } from "./given.ts";
import { SWAP_ACTIONS, type SwapOptions } from "./options.ts";
import { badValue, type Given, parseCount } from "./units.ts";

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
  const at = { nbd: readAddress(nbd), exportName: name.text };
  if (action === "off") return { action, ...at, device: null };
  const bounds = { min: 0, max: SWAP_PRIORITY_MAX };
  return { action, ...at, device, priority: parseCount(flags.value("priority"), bounds) };
}

/** Throws ConfigError, which quotes what is given. */
function readAddress(given: Given): Address {
  try {
    return parseAddress(given.text);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw badValue(given, error.message.replace(/^Cannot use address ".*?": /, ""));
  }
}

function refuse(message: string): ConfigError {
  return new ConfigError("BAD_CONFIG", message.replaceAll("\n", " "));
}
