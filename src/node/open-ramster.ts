/**
 * Opens the pages of this node (src/ramster). With kept memory (kept-node.ts) it takes over what a
 * predecessor left, before anyone can reach the node:
 *
 *     all regions are reserved --> undo --> restore --> exports take their pools --> others go
 *
 * A standby (src/standby) reserves all regions while its predecessor runs, and waits there.
 */
import type { Recompressor } from "../cold/recompressor.ts";
import { RamsterError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import type { Random } from "../core/random.ts";
import { Ramster, type RamsterEnvironment } from "../ramster/ramster.ts";
import { newSealKey, PageSeal } from "../security/page-seal.ts";
import type { LiveConfig } from "./config.ts";
import type { KeptNode } from "./kept-node.ts";
import { ownStoreOptions, ramsterSettings } from "./store-options.ts";

/** What seals pages that move away: with a new key, or that of the predecessor. Null: they are not. */
export function openCipher(
  { seal }: LiveConfig,
  random: Random,
  kept: KeptNode | null,
): PageSeal | null {
  return seal ? new PageSeal(kept?.sealKey ?? newSealKey(random)) : null;
}

/** Its pages are there once `takeOver` has been called. */
export function openRamster(
  env: Omit<RamsterEnvironment, "recompressor"> & { recompressor?: Recompressor | null },
  config: LiveConfig,
  kept: KeptNode | null,
): Ramster {
  const { recompressor = null } = env;
  const memory = kept?.memory ?? env.memory;
  const settings = { ...ownStoreOptions(config), ...ramsterSettings(config) };
  return new Ramster({ ...env, memory, recompressor }, settings);
}

/**
 * This process has the memory from here on. Throws RamsterError BAD_KEPT_MEMORY when what is kept
 * cannot be used.
 */
export function takeOver(kept: KeptNode, ramster: Ramster, log: Log): void {
  const { memory } = kept;
  const undone = memory.start();
  kept.begin();
  if (!memory.isSucceeding) return;
  if (!kept.isSound || !ramster.restoring.restore()) {
    const how = "remove the folder of --keep, with all its pages";
    throw new RamsterError("BAD_KEPT_MEMORY", `Cannot use kept memory: it is damaged: ${how}`);
  }
  const { pageCount, lostCount, isDamaged } = ramster.zcache.tmem;
  const what = `took over ${pageCount} pages of the previous process, ${lostCount} of them lost`;
  const how = undone > 0 ? "; undid the change that it was in" : "";
  log.write(lostCount > 0 ? "warn" : "info", "ramster", what + how);
  if (!isDamaged) return;
  const damage = "kept memory is damaged, and pages are missing";
  log.write("error", "ramster", `${damage}: a read of a page that is not there is an error`);
}

/** The exports have taken their pools. Those of programs have nobody who knows them. */
export function dropOthers(ramster: Ramster, log: Log): void {
  const pages = ramster.restoring.dropOthers();
  if (pages === 0) return;
  log.write("warn", "ramster", `dropped ${pages} pages of programs: their pools ended`);
}
