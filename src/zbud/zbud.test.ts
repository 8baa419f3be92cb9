import { expect, test } from "bun:test";
import { FRAME_BYTES, PAGE_BYTES, ZBUD_HEADER_BYTES, ZPAGE_BYTES_MAX } from "../core/limits.ts";
import { below, SeededRandom } from "../core/random.ts";
import { FramePool } from "../frames/frame-pool.ts";
import { openMemory } from "../memory/open-memory.ts";
import { chunksOf, EPHEMERAL, type Kind, PERSISTENT, ZBUD_OWNER_OFFSET, Zbud } from "./zbud.ts";

const NOBODY = {
  onEvict(): void {
    throw new Error("nothing should be evicted");
  },
};

function makeZbud(frameCountMax = 64): { zbud: Zbud; frames: FramePool } {
  const memory = openMemory();
  const frames = new FramePool(memory, { frameCountMax });
  return { zbud: new Zbud(memory, frames), frames };
}

/** Header and zpage of `zpageBytes`, filled from the owner's number so that a mix-up is seen. */
function zbudOf(owner: number, zpageBytes: number): Uint8Array {
  const bytes = new Uint8Array(ZBUD_HEADER_BYTES + zpageBytes).fill(owner & 0xff);
  new DataView(bytes.buffer).setInt32(ZBUD_OWNER_OFFSET, owner);
  return bytes;
}

function store(
  parts: { zbud: Zbud; frames: FramePool },
  owner: number,
  zpageBytes: number,
  kind: Kind,
): number {
  const bytes = zbudOf(owner, zpageBytes);
  const matched = parts.zbud.match(bytes, 0, zpageBytes, kind);
  if (matched !== 0) return matched;
  const frame = parts.frames.take();
  expect(frame).toBeGreaterThan(0);
  return parts.zbud.create(frame, bytes, 0, zpageBytes, kind);
}

function contents(zbud: Zbud, ref: number): Uint8Array {
  const zpageBytes = zbud.zpageBytes(ref);
  const bytes = new Uint8Array(ZBUD_HEADER_BYTES + zpageBytes);
  zbud.read(ref, zpageBytes, bytes, 0);
  return bytes;
}

test("the geometry is that of the original", () => {
  expect(ZPAGE_BYTES_MAX).toBe(4000);
  expect([1, 32, 33, 96, 97, 4000].map(chunksOf)).toEqual([1, 1, 2, 2, 3, 63]);
});

test("zbud.match() pairs tightest first, and two zpages share a frame only if their chunks fit", () => {
  const parts = makeZbud();
  const large = store(parts, 1, 3000, PERSISTENT); // 48 chunks
  const small = store(parts, 2, 1000, PERSISTENT); // 17 chunks: 48 + 17 > 64
  expect(small >>> 1).not.toBe(large >>> 1);
  const fits = store(parts, 3, 992, PERSISTENT); // 16 chunks: the fuller frame is the tighter one
  expect(fits >>> 1).toBe(large >>> 1);
  expect(store(parts, 4, 2976, PERSISTENT) >>> 1).toBe(small >>> 1); // 47 + 17
  expect(parts.zbud.counters.buddied[PERSISTENT]).toBe(2);
  parts.zbud.verify();
});

test("zbud.match() takes the oldest of the frames that fit equally", () => {
  const parts = makeZbud();
  const first = store(parts, 1, 2500, PERSISTENT);
  const second = store(parts, 2, 2500, PERSISTENT);
  expect(store(parts, 3, 1400, PERSISTENT) >>> 1).toBe(first >>> 1);
  expect(store(parts, 4, 1400, PERSISTENT) >>> 1).toBe(second >>> 1);
});

test("zbud never mixes kinds in one frame", () => {
  const parts = makeZbud();
  const eph = store(parts, 1, 100, EPHEMERAL);
  const pers = store(parts, 2, 100, PERSISTENT);
  expect(eph >>> 1).not.toBe(pers >>> 1);
});

test("zbud.read() returns what was stored, for both buddies and the largest zpage", () => {
  const parts = makeZbud();
  const refs = [store(parts, 7, ZPAGE_BYTES_MAX, PERSISTENT), store(parts, 8, 1, PERSISTENT)];
  refs.push(store(parts, 9, 3900, PERSISTENT));
  expect(refs.map((ref) => contents(parts.zbud, ref))).toEqual([
    zbudOf(7, ZPAGE_BYTES_MAX),
    zbudOf(8, 1),
    zbudOf(9, 3900),
  ]);
  expect(refs.map((ref) => parts.zbud.ownerOf(ref))).toEqual([7, 8, 9]);
});

test("zbud.free() returns the frame with its last zpage, and keeps its place in the LRU until then", () => {
  const parts = makeZbud();
  const a = store(parts, 1, 2000, PERSISTENT);
  const b = store(parts, 2, 1900, PERSISTENT);
  const c = store(parts, 3, 3900, PERSISTENT);
  expect(a >>> 1).toBe(b >>> 1);
  expect(parts.zbud.free(a)).toBe(0);
  parts.zbud.verify();
  expect(parts.zbud.makeZombie(PERSISTENT)).toBe(b >>> 1); // Still older than c.
  parts.zbud.resurrect(b >>> 1);
  expect(parts.zbud.free(b)).toBe(b >>> 1);
  expect(parts.zbud.free(c)).toBe(c >>> 1);
  parts.zbud.verify();
  expect(parts.zbud.counters.pageframes).toEqual([0, 0]);
});

test("zbud.evict() takes the oldest ephemeral frame and calls the sink for both zpages", () => {
  const parts = makeZbud();
  store(parts, 1, 2000, EPHEMERAL);
  store(parts, 2, 1900, EPHEMERAL);
  store(parts, 3, 3900, EPHEMERAL);
  const evicted: number[] = [];
  const sink = {
    onEvict(owner: number, ref: number): void {
      evicted.push(owner);
      expect(parts.zbud.free(ref)).toBe(0); // A dying frame ignores it.
    },
  };
  const frame = parts.zbud.evict(sink);
  expect(evicted).toEqual([1, 2]);
  parts.zbud.verify();
  expect(parts.zbud.create(frame, zbudOf(5, 10), 0, 10, EPHEMERAL)).toBe(frame * 2);
  parts.zbud.evict(sink);
  expect(evicted).toEqual([1, 2, 3]);
  parts.zbud.verify();
});

test("zbud.match() makes its frame the newest, so that the other is evicted first", () => {
  const parts = makeZbud();
  const first = store(parts, 1, 2000, EPHEMERAL) >>> 1;
  const second = store(parts, 2, 3900, EPHEMERAL) >>> 1;
  expect(store(parts, 3, 1900, EPHEMERAL) >>> 1).toBe(first);
  const onEvict = (_: number, ref: number): number => parts.zbud.free(ref);
  expect(parts.zbud.evict({ onEvict })).toBe(second);
  expect(parts.zbud.evict({ onEvict })).toBe(first);
});

test("zbud.evict() never takes a persistent frame", () => {
  const parts = makeZbud();
  store(parts, 1, 2000, PERSISTENT);
  expect(parts.zbud.evict(NOBODY)).toBe(0);
});

test("a zombie can be read and resurrected, and is neither matched nor evicted", () => {
  const parts = makeZbud();
  const lone = store(parts, 1, 2000, EPHEMERAL);
  const frame = parts.zbud.makeZombie(EPHEMERAL);
  expect(frame).toBe(lone >>> 1);
  parts.zbud.verify();
  expect(contents(parts.zbud, lone)).toEqual(zbudOf(1, 2000));
  expect(parts.zbud.match(zbudOf(2, 100), 0, 100, EPHEMERAL)).toBe(0);
  expect(parts.zbud.evict(NOBODY)).toBe(0);
  parts.zbud.resurrect(frame);
  parts.zbud.verify();
  expect(parts.zbud.match(zbudOf(2, 100), 0, 100, EPHEMERAL) >>> 1).toBe(frame);
});

test("a zombie that lost a buddy is resurrected as unbuddied, and one that lost both is free", () => {
  const parts = makeZbud();
  const a = store(parts, 1, 2000, PERSISTENT);
  const b = store(parts, 2, 1900, PERSISTENT);
  parts.zbud.makeZombie(PERSISTENT);
  parts.zbud.free(a);
  parts.zbud.verify();
  parts.zbud.resurrect(a >>> 1);
  parts.zbud.verify();
  expect(store(parts, 3, 1000, PERSISTENT) >>> 1).toBe(b >>> 1);
  parts.zbud.makeZombie(PERSISTENT);
  parts.zbud.free(a);
  expect(parts.zbud.free(b)).toBe(b >>> 1);
  parts.zbud.verify();
});

test("a whole page fills its frame and keeps owner and checksum", () => {
  const parts = makeZbud();
  const page = new Uint8Array(PAGE_BYTES).fill(0x5a);
  const frame = parts.frames.take();
  const ref = parts.zbud.createWhole(frame, page, 0, PERSISTENT, 77, -5);
  expect([parts.zbud.ownerOf(ref), parts.zbud.wholeChecksum(ref)]).toEqual([77, -5]);
  const read = new Uint8Array(FRAME_BYTES);
  parts.zbud.read(ref, PAGE_BYTES, read, 0);
  expect(read).toEqual(page);
  parts.zbud.verify();
  expect(parts.zbud.free(ref)).toBe(frame);
  parts.zbud.verify();
});

test("the chunk histogram counts every zpage ever stored by its size", () => {
  const parts = makeZbud();
  store(parts, 1, 10, PERSISTENT);
  const again = store(parts, 2, 40, PERSISTENT);
  parts.zbud.free(again);
  store(parts, 3, 40, PERSISTENT);
  expect(parts.zbud.counters.cumul_chunk_counts[PERSISTENT][1]).toBe(1);
  expect(parts.zbud.counters.cumul_chunk_counts[PERSISTENT][2]).toBe(2);
});

test("zbud agrees with a plain Map over random stores, frees, evictions and zombies", () => {
  const parts = makeZbud(400);
  const { zbud, frames } = parts;
  const random = new SeededRandom(20);
  const model = new Map<number, { ref: number; zpageBytes: number }>();
  const zombies: number[] = [];
  let owner = 0;
  const drop = (gone: number): void => {
    model.delete(gone);
  };
  for (let step = 0; step < 30_000; step += 1) {
    const dice = below(random, 10);
    const kind: Kind = below(random, 2) === 0 ? EPHEMERAL : PERSISTENT;
    if (dice < 5) {
      owner += 1;
      const zpageBytes = 1 + below(random, ZPAGE_BYTES_MAX);
      const bytes = zbudOf(owner, zpageBytes);
      let ref = zbud.match(bytes, 0, zpageBytes, kind);
      if (ref === 0) {
        const frame = frames.take() || zbud.evict({ onEvict: drop });
        if (frame === 0) continue;
        ref = zbud.create(frame, bytes, 0, zpageBytes, kind);
      }
      model.set(owner, { ref, zpageBytes });
    } else if (dice < 8 && model.size > 0) {
      const [gone, entry] = [...model.entries()][below(random, Math.min(model.size, 50))] ?? [0];
      if (entry === undefined) continue;
      expect(contents(zbud, entry.ref)).toEqual(zbudOf(gone, entry.zpageBytes));
      const frame = zbud.free(entry.ref);
      if (frame !== 0) frames.give(frame);
      model.delete(gone);
    } else if (dice === 8) {
      const frame = zbud.makeZombie(kind);
      if (frame !== 0) zombies.push(frame);
    } else {
      const frame = zombies.shift();
      if (frame !== undefined && zbud.isZombie(frame)) zbud.resurrect(frame);
    }
    if (step % 500 === 0) zbud.verify();
  }
  zbud.verify();
  for (const [name, entry] of model) {
    expect(contents(zbud, entry.ref)).toEqual(zbudOf(name, entry.zpageBytes));
  }
});
