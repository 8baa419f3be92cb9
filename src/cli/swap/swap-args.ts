/** Reads the flags of `ramster swap`, whose meaning depends on its ACTION. */
import { BYTES_PER_MIB, MEMORY_BYTES_MAX, SWAP_PRIORITY_MAX } from "../../core/limits.ts";
import { parseAddress } from "../../net/address.ts";
import type { GivenFlags } from "../given.ts";
import { parseNode } from "../local-nodes.ts";
import { type DoorOptions, SWAP_ACTIONS, type SwapAction, type SwapOptions } from "../options.ts";
import {
  badValue,
  parseCount,
  parseGiven,
  parsePath,
  parsePercent,
  parseSize,
  refuse,
} from "../units.ts";
import type { SwapRotateOptions } from "./swap-rotate.ts";

/** Half of what is stored is of no use: then a second copy of the rest is worth it. */
export const STALE_PERCENT_DEFAULT = 50;
/** While swap is rotated, pages come home at a small part of what a node can do. */
export const RATE_BYTES_DEFAULT = 64 * BYTES_PER_MIB;

type Action = (typeof SWAP_ACTIONS)[number];

/** The flags of each action. */
const FLAGS: Record<Action, readonly string[]> = {
  on: ["nbd", "export", "device", "priority", "client"],
  off: ["nbd", "export", "device", "force", "client"],
  rotate: ["nbd", "export", "client", "key", "stale", "rate"],
  status: [],
};

const HELP: Record<Action, string> = {
  on: "attaches an export to an nbd device, and has this machine's kernel swap on it.",
  off: "switches swap off, which brings all pages home, and detaches the device.",
  rotate:
    "switches swap from one of two exports to the other when many pages are stale, and frees those.",
  status: "shows the nbd devices of this machine, and how much swap is on each.",
};

/** What each action does, and the flags that it takes. */
export const SWAP_ACTION_HELP = SWAP_ACTIONS.map((name) => {
  const flags = FLAGS[name].map((flag) => `--${flag}`);
  return {
    name,
    help: `${HELP[name]} ${flags.length === 0 ? "No flags" : `Flags: ${flags.join(", ")}`}`,
  };
});

/** Throws ConfigError BAD_CONFIG in one line. */
export function readSwap(flags: GivenFlags): SwapOptions {
  return { ...readAction(flags), json: flags.has("json") };
}

function readAction(flags: GivenFlags): SwapAction {
  const word = flags.argument("ACTION");
  const action = SWAP_ACTIONS.find((it) => it === word);
  if (action === undefined) {
    throw refuse(`Cannot run swap ${JSON.stringify(word)}: take one of ${SWAP_ACTIONS.join(", ")}`);
  }
  for (const flag of new Set(Object.values(FLAGS).flat())) {
    if (flags.has(flag) && !FLAGS[action].includes(flag)) {
      throw refuse(`Cannot use --${flag} with "swap ${action}"`);
    }
  }
  if (action === "status") return { action };
  if (action === "rotate") return { action, ...readRotate(flags) };
  const given = flags.optional("device");
  if (given !== null && !/^\/dev\/nbd\d{1,4}$/.test(given.text)) {
    throw badValue(given, "write /dev/nbdN");
  }
  const device = given?.text ?? null;
  const force = flags.has("force");
  const client = parseNode(flags.optional("client"));
  const [nbd, name] = [flags.optional("nbd"), flags.optional("export")];
  if (action === "off" && device !== null) {
    if (nbd === null && name === null) return { action, device, force, client };
    throw refuse('Cannot run "swap off" with --nbd or --export beside --device: take one');
  }
  if (nbd === null || name === null) {
    const which = action === "on" ? "--nbd and --export" : "--nbd and --export, or --device";
    throw refuse(`Cannot run "swap ${action}" without ${which}`);
  }
  const exportNames = name.text.split(",");
  if (exportNames.includes("")) throw badValue(name, "the name is empty");
  const bare = /^(.*)=\d+[KMGT]iB$/.exec(name.text)?.[1];
  if (bare !== undefined) throw badValue(name, `write its name alone, ${JSON.stringify(bare)}`);
  const address = parseGiven(nbd, parseAddress);
  if (action === "off") return { action, nbd: address, exportNames, device: null, force, client };
  if (exportNames.length > 1) throw badValue(name, "one export at a time is switched on");
  const at = { nbd: address, exportName: name.text };
  const bounds = { min: 0, max: SWAP_PRIORITY_MAX };
  const priority = parseCount(flags.value("priority"), bounds);
  return { action, ...at, device, priority, client };
}

function readRotate(flags: GivenFlags): SwapRotateOptions & DoorOptions {
  const [nbd, names] = [flags.optional("nbd"), flags.optional("export")];
  if (nbd === null || names === null) {
    throw refuse('Cannot run "swap rotate" without --nbd and --export');
  }
  const [first = "", second = "", ...more] = names.text.split(",");
  if (first === "" || second === "" || more.length > 0 || first === second) {
    throw badValue(names, "write the names of two exports, as in swap,fresh");
  }
  return {
    nbd: parseGiven(nbd, parseAddress),
    exportNames: [first, second],
    client: parseNode(flags.optional("client")),
    keyPath: parsePath(flags.optional("key")),
    stalePercent: parsePercent(flags.value("stale"), { min: 1, max: 99 }),
    bytesPerSecond: parseSize(flags.value("rate"), {
      min: BYTES_PER_MIB,
      max: MEMORY_BYTES_MAX,
    }),
  };
}
