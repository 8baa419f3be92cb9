/**
 * Opens the exports of a node: each with a new pool, or with the pool that a predecessor kept under
 * its name (src/ramster/repair/restoring.ts).
 *
 *     key of a pool: | hash of the name | another one | pages | type |
 */
import { assert } from "../core/assert.ts";
import { RamsterError } from "../core/errors.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { textHash } from "../core/text-hash.ts";
import { formatSize } from "../core/units.ts";
import type { Ramster } from "../ramster/ramster.ts";
import { type ExportConfig, NbdExport } from "./export.ts";

const OTHER_BASIS = 0x52414d53;

/**
 * `type` is for a new pool: its place among the exports. Throws RamsterError BAD_KEPT_MEMORY when
 * the predecessor's export was larger.
 */
export function openExport(ramster: Ramster, config: ExportConfig, type: number): NbdExport {
  const { name, byteCount } = config;
  const pages = byteCount / PAGE_BYTES;
  const [first, second] = [textHash(name), textHash(name, OTHER_BASIS)];
  const kept = ramster.restoring.take((key) => key[0] === first && key[1] === second);
  const key = kept?.key ?? null;
  if (kept === null || key === null) {
    const options = { persistent: true, storeWhole: true };
    const pool = ramster.newPool({ ...options, key: [first, second, pages, type] });
    assert(pool !== null, "there are more pools than exports");
    return new NbdExport(config, type, pool);
  }
  const [, , keptPages, keptType] = key;
  if (keptPages > pages) {
    const what = `export "${name}" had ${formatSize(keptPages * PAGE_BYTES)}`;
    const how = "give it as much, or remove the folder of --keep";
    throw new RamsterError("BAD_KEPT_MEMORY", `Cannot use kept memory: ${what}: ${how}`);
  }
  const exp = new NbdExport(config, keptType, kept);
  exp.allocation.markAll();
  return exp;
}
