/** On the samples of the corpora, blocks hold nearly what the codec leaves, and zbud does not. */
import { expect, test } from "bun:test";
import { Lz4 } from "../../src/compress/lz4.ts";
import { below, SeededRandom } from "../../src/core/random.ts";
import { openMemory } from "../../src/memory/open-memory.ts";
import type { PlacementName } from "../../src/placement/placement.ts";
import { CORPORA } from "../pages/corpora.ts";
import { loadCorpusSample } from "../pages/corpus-sample.ts";
import { codecRatio, compressAll, DensityStore, type Zpages } from "./density-store.ts";

const PAGES = 6000;

async function filled(placement: PlacementName, zpages: Zpages): Promise<DensityStore> {
  const store = await DensityStore.open(placement, PAGES);
  const random = new SeededRandom(1);
  for (let number = 0; number < PAGES; number += 1) {
    store.put(number, zpages, below(random, zpages.count));
  }
  return store;
}

test.each(CORPORA)("%s: pages a frame", async (name) => {
  const zpages = compressAll(await Lz4.load(openMemory()), name, loadCorpusSample(name));
  const zbud = await filled("zbud", zpages);
  const blocks = await filled("blocks", zpages);
  const ratio = codecRatio(zpages);
  expect(blocks.occupancy).toBeGreaterThan(0.92);
  expect(blocks.effectiveRatio).toBeWithin(0.88 * ratio, ratio);
  expect(zbud.effectiveRatio).toBeLessThan(Math.min(2, blocks.effectiveRatio));
  expect(blocks.metadataBytes / PAGES).toBeWithin(20, 60);
  for (let number = 0; number < PAGES; number += 1) blocks.get(number);
  blocks.zcache.verify();
  zbud.close();
  blocks.close();
});

test("a drained store is as dense as before when it is filled again", async () => {
  const zpages = compressAll(await Lz4.load(openMemory()), "node", loadCorpusSample("node"));
  const store = await filled("blocks", zpages);
  const before = store.effectiveRatio;
  const random = new SeededRandom(2);
  for (let number = 0; number < PAGES; number += 1) {
    if (below(random, 10) < 7) store.flush(number);
  }
  const drained = store.effectiveRatio;
  while (store.zcache.compact());
  expect(store.effectiveRatio).toBeGreaterThan(1.5 * drained);
  for (let number = 0; number < PAGES; number += 1) {
    if (!store.has(number)) store.put(number, zpages, below(random, zpages.count));
  }
  expect(store.pageCount).toBe(PAGES);
  expect(store.effectiveRatio).toBeGreaterThan(0.95 * before);
  store.zcache.verify();
  store.close();
});
