import { expect, test } from "bun:test";
import { placementContract } from "../../harness/contract/placement.ts";
import { PlacementRig } from "../../harness/contract/placement-rig.ts";
import { EPHEMERAL, PERSISTENT } from "../core/kind.ts";
import { ZPAGE_BYTES_MAX } from "../core/limits.ts";
import { chunksOf, Zbud } from "./zbud.ts";

const make = (...parts: ConstructorParameters<typeof Zbud>) => new Zbud(...parts);

placementContract("zbud", make);

function frameOf(rig: PlacementRig, page: number): number {
  return rig.refOf(page) >>> 1;
}

test("the geometry is that of the original", () => {
  expect(ZPAGE_BYTES_MAX).toBe(4000);
  expect([1, 32, 33, 96, 97, 4000].map(chunksOf)).toEqual([1, 1, 2, 2, 3, 63]);
});

test("a zpage goes to the fullest frame that has room for its chunks", () => {
  const rig = new PlacementRig(make);
  const large = rig.put(3000); // 48 chunks
  const small = rig.put(1000); // 17 chunks: 48 + 17 > 64
  expect(frameOf(rig, small)).not.toBe(frameOf(rig, large));
  const fits = rig.put(992); // 16 chunks
  expect(frameOf(rig, fits)).toBe(frameOf(rig, large));
  expect(frameOf(rig, rig.put(2976))).toBe(frameOf(rig, small)); // 47 + 17
  expect(rig.placement.counters.buddied[PERSISTENT]).toBe(2);
  rig.checkAll();
});

test("a zpage goes to the oldest of the frames that fit equally", () => {
  const rig = new PlacementRig(make);
  const first = rig.put(2500);
  const second = rig.put(2500);
  expect(frameOf(rig, rig.put(1400))).toBe(frameOf(rig, first));
  expect(frameOf(rig, rig.put(1400))).toBe(frameOf(rig, second));
});

test("a frame keeps its place in the LRU while it has a zpage", () => {
  const rig = new PlacementRig(make);
  const [a, b] = [rig.put(2000), rig.put(1900)];
  rig.put(3900);
  expect(frameOf(rig, a)).toBe(frameOf(rig, b));
  rig.free(a);
  expect(rig.takeOldest()).toEqual([b]); // Still the oldest.
});

test("eviction takes the oldest ephemeral frame with both zpages", () => {
  const rig = new PlacementRig(make);
  rig.put(2000, EPHEMERAL);
  rig.put(1900, EPHEMERAL);
  rig.put(3900, EPHEMERAL);
  rig.placement.evict(EPHEMERAL);
  expect(rig.evicted).toEqual([1, 2]);
  rig.checkAll();
  rig.placement.evict(EPHEMERAL);
  expect(rig.evicted).toEqual([1, 2, 3]);
});

test("zbud.match() makes its frame the newest, so that the other is evicted first", () => {
  const rig = new PlacementRig(make);
  const first = rig.put(2000, EPHEMERAL);
  const second = rig.put(3900, EPHEMERAL);
  const beside = rig.put(1900, EPHEMERAL);
  expect(frameOf(rig, beside)).toBe(frameOf(rig, first));
  rig.placement.evict(EPHEMERAL);
  expect(rig.evicted).toEqual([second]);
  rig.placement.evict(EPHEMERAL);
  expect(rig.evicted).toEqual([second, first, beside]);
});

test("a read leaves the order as it is", () => {
  const rig = new PlacementRig(make);
  const first = rig.put(3900);
  rig.put(3900);
  rig.check(first);
  expect(rig.takeOldest()).toEqual([first]);
});

test("a zombie gets no zpage until it is put back", () => {
  const rig = new PlacementRig(make);
  const lone = rig.put(2000);
  expect(rig.takeOldest()).toEqual([lone]);
  expect(frameOf(rig, rig.put(100))).not.toBe(frameOf(rig, lone));
  rig.putBack(lone, "oldest");
  rig.checkAll();
  expect(frameOf(rig, rig.put(1900))).toBe(frameOf(rig, lone));
});

test("a zombie that lost a buddy is put back as unbuddied", () => {
  const rig = new PlacementRig(make);
  const [a, b] = [rig.put(2000), rig.put(1900)];
  expect(rig.takeOldest()).toEqual([a, b]);
  rig.free(a);
  rig.checkAll();
  rig.putBack(b, "oldest");
  rig.checkAll();
  expect(frameOf(rig, rig.put(1000))).toBe(frameOf(rig, b));
});

test("the chunk histogram counts every zpage ever stored by its size", () => {
  const rig = new PlacementRig(make);
  rig.put(10);
  rig.free(rig.put(40));
  rig.put(40);
  expect(rig.placement.counters.cumul_chunk_counts[PERSISTENT][1]).toBe(1);
  expect(rig.placement.counters.cumul_chunk_counts[PERSISTENT][2]).toBe(2);
});
