import { expect, test } from "bun:test";
import { SimClock } from "../../../harness/sim/clock.ts";
import { FRAME_BYTES } from "../../core/limits.ts";
import { Log } from "../../core/log.ts";
import { SeededRandom } from "../../core/random.ts";
import { NO_COPIES, withCopy } from "../copies.ts";
import { LENDERS_LINKED_MAX, Lenders, type Replicas, type Target } from "./lenders.ts";

const BATCH = { pageCount: 24, byteCount: 16 * FRAME_BYTES };
const OPEN = (): boolean => true;

function world(target: Target, frames: readonly number[] = [], zones: readonly string[] = []) {
  const clock = new SimClock();
  /** How many frames this node has at each lender. */
  const had: number[] = [];
  const remotePages = { framesAt: (node: number) => had[node] ?? 0 };
  const lenders = new Lenders(
    { clock, random: new SeededRandom(1), log: new Log(() => {}), remotePages, spill: null },
    { target, replicas: "auto", replicasOnDisk: false },
  );
  for (const [node, count] of frames.entries()) {
    lenders.setOffer(node, offer(count, count, zones[node] ?? `host${node}`));
  }
  return { clock, lenders, had };
}

/** The copies that a node with a disk wants at lenders, and on the disk. */
function wants(
  replicas: Replicas,
  zones: readonly string[],
  isWell = true,
  target: Target = "auto",
) {
  const outside = { clock: new SimClock(), random: new SeededRandom(1), log: new Log(() => {}) };
  const parts = { ...outside, remotePages: { framesAt: () => 0 }, spill: { isWell } };
  const lenders = new Lenders(parts, { target, replicas, replicasOnDisk: true });
  for (const [node, zone] of zones.entries()) lenders.setOffer(node, offer(100, 100, zone));
  return [lenders.copiesWanted, lenders.wantsDiskCopy];
}

test("a copy on the disk replaces one missing zone, and no more than one", () => {
  expect(wants("auto", [])).toEqual([1, true]);
  expect(wants("auto", ["a"])).toEqual([1, true]);
  expect(wants("auto", ["a", "a"])).toEqual([1, true]);
  expect(wants("auto", ["a", "b"])).toEqual([2, false]);
  expect(wants(3, ["a"])).toEqual([1, true]);
  expect(wants(3, ["a", "b"])).toEqual([2, true]);
  expect(wants(3, ["a", "b", "c"])).toEqual([3, false]);
  expect(wants(1, [])).toEqual([1, false]);
  expect(wants("auto", ["a"], true, 7)).toEqual([1, true]);
});

test("with a full or broken disk, a copy on it is wanted only with a number of copies", () => {
  expect(wants("auto", ["a"], false)).toEqual([1, false]);
  expect(wants(2, ["a"], false)).toEqual([1, true]);
});

function offer(lendFrames: number, freeFrames: number, zone: string) {
  return { lendFrames, freeFrames, zone };
}

function refuse(lenders: Lenders, node: number): void {
  lenders.noteSent(node, BATCH);
  lenders.noteAnswered(node, BATCH.byteCount, "refused");
}

/** How many of `count` batches each lender gets. */
function spread(lenders: Lenders, count: number): number[] {
  const got: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const node = lenders.choose(OPEN);
    if (node < 0) continue;
    got[node] = (got[node] ?? 0) + 1;
    lenders.noteSent(node, BATCH);
  }
  return got;
}

test("a fixed target needs no offer; without a target pages go nowhere", () => {
  expect(world(7).lenders.choose(OPEN)).toBe(7);
  expect(world(7).lenders.choose(() => false)).toBe(-1);
  expect(world(null, [1000]).lenders.choose(OPEN)).toBe(-1);
  expect(world("auto").lenders.choose(OPEN)).toBe(-1);
});

test("equal lenders get similar amounts: the fullest at most 1.2 times the emptiest", () => {
  const got = spread(world("auto", [10_000, 10_000, 10_000, 10_000]).lenders, 1000);
  expect(got.reduce((a, b) => a + b)).toBe(1000);
  expect(Math.max(...got) / Math.min(...got)).toBeLessThan(1.2);
});

test("lenders of 1:2:4 get pages in proportion, within 20 percent", () => {
  const got = spread(world("auto", [4000, 8000, 16_000]).lenders, 1000);
  for (const [node, share] of [1 / 7, 2 / 7, 4 / 7].entries()) {
    expect(Math.abs((got[node] ?? 0) / 1000 / share - 1)).toBeLessThan(0.2);
  }
});

test("a full lender gets nothing, and all together get no more than they have", () => {
  const { lenders } = world("auto", [320, 3200]);
  const got = spread(lenders, 1000);
  expect((got[0] ?? 0) * 16).toBeLessThanOrEqual(320);
  expect((got[1] ?? 0) * 16).toBeLessThanOrEqual(3200);
  expect(lenders.hasUsable(1)).toBe(false);
  for (let batch = 0; batch < (got[0] ?? 0); batch += 1) {
    lenders.noteAnswered(0, BATCH.byteCount, "accepted"); // No page is kept there any more.
  }
  expect(lenders.hasUsable(1)).toBe(true);
});

test("pages that are put again and again use up no room: stored pages count, not sent ones", () => {
  const { lenders, had } = world("auto", [1000, 1000]);
  had[0] = 400;
  for (let i = 0; i < 1000; i += 1) {
    lenders.noteSent(0, BATCH);
    expect(lenders.freeFrames).toBe(2000 - 400 - 16);
    lenders.noteAnswered(0, BATCH.byteCount, "accepted");
  }
  expect(lenders.freeFrames).toBe(2000 - 400);
  had[0] = 100; // Most of them were flushed.
  expect(lenders.freeFrames).toBe(2000 - 100);
});

test("the room of an offer shrinks only by pages that went there since", () => {
  const { clock, lenders, had } = world("auto", [1000]);
  had[0] = 400;
  lenders.setOffer(0, offer(1000, 600, "host0"));
  expect(lenders.freeFrames).toBe(200); // The offer may be older than the pages.
  clock.run(clock.now() + 2000);
  expect(lenders.freeFrames).toBe(600);
  had[0] = 500;
  expect(lenders.freeFrames).toBe(500);
  lenders.setOffer(0, offer(1000, 600, "host0")); // The same offer does not count again.
  expect(lenders.freeFrames).toBe(500);
  had[0] = 0;
  expect(lenders.freeFrames).toBe(1000);
});

test("the room of a fixed target is that of its offer, else its grant", () => {
  const { lenders, had } = world(0, [1000]);
  had[0] = 400;
  expect(lenders.freeFrames).toBe(600);
  lenders.remove(0);
  lenders.onGrant(0, 60);
  expect(lenders.freeFrames).toBe(30);
});

test("a lender that refuses gets nothing for a while, longer each time; others go on", () => {
  const { clock, lenders } = world("auto", [1000, 1000]);
  refuse(lenders, 0);
  for (let i = 0; i < 20; i += 1) expect(lenders.choose(OPEN)).toBe(1);
  clock.run(clock.now() + 50);
  expect(new Set(Array.from({ length: 50 }, () => lenders.choose(OPEN)))).toEqual(new Set([0, 1]));
  refuse(lenders, 0);
  clock.run(clock.now() + 50);
  expect(lenders.choose((node) => node === 0)).toBe(-1);
  lenders.setTarget("auto");
  expect(lenders.choose((node) => node === 0)).toBe(0);
});

test("no more is sent than was granted on this link, also to a fixed target", () => {
  for (const target of ["auto", 0] as const) {
    const { clock, lenders } = world(target, [1000]);
    lenders.linkChanged(0);
    expect([lenders.credit(0), lenders.hasUsable(1)]).toEqual([0, true]); // No grant yet.
    lenders.onGrant(0, 60);
    expect(spread(lenders, 9)).toEqual([3]); // 24 each: the third was cut short by remotify.
    lenders.noteAnswered(0, BATCH.byteCount, "accepted");
    expect([lenders.hasUsable(1), lenders.choose(OPEN)]).toEqual([true, -1]); // It may grant more.
    clock.run(clock.now() + 50);
    expect(lenders.hasUsable(1)).toBe(false);
    lenders.onGrant(0, 40); // An older grant.
    expect(lenders.hasUsable(1)).toBe(false);
    lenders.onGrant(0, 100);
    expect([lenders.credit(0), lenders.choose(OPEN)]).toEqual([28, 0]);
    lenders.linkChanged(0);
    expect(lenders.credit(0)).toBe(0);
  }
});

test("a grant is newer than the offer to all nodes", () => {
  const { lenders } = world("auto", [1000]);
  lenders.setOffer(0, offer(1000, 0, "host0"));
  expect(lenders.choose(OPEN)).toBe(-1);
  lenders.onGrant(0, 100);
  expect(lenders.choose(OPEN)).toBe(0);
});

test("with many lenders a node keeps links to some, and to others when these are full", () => {
  const { lenders } = world(
    "auto",
    Array.from({ length: 1000 }, () => 1000),
  );
  const linked = new Set<number>();
  const mayPutTo = (node: number): boolean => {
    if (!linked.has(node)) lenders.onGrant(node, 1000);
    linked.add(node);
    return true;
  };
  for (let i = 0; i < 1000; i += 1) {
    const node = lenders.choose(mayPutTo);
    lenders.noteSent(node, { pageCount: 2, byteCount: 4096 });
  }
  expect(linked.size).toBeGreaterThanOrEqual(LENDERS_LINKED_MAX);
  expect(linked.size).toBeLessThanOrEqual(LENDERS_LINKED_MAX + 1);
  const [full = -1] = linked;
  lenders.noteSent(full, { pageCount: lenders.credit(full), byteCount: 4096 });
  for (let i = 0; i < 100; i += 1) expect(lenders.choose(mayPutTo)).not.toBe(full);
  expect(linked.size).toBeGreaterThan(LENDERS_LINKED_MAX);
});

test("a lender that is gone gets nothing", () => {
  const { lenders } = world("auto", [1000, 1000]);
  lenders.remove(1);
  for (let i = 0; i < 20; i += 1) expect(lenders.choose(OPEN)).toBe(0);
  expect([lenders.isCandidate(0), lenders.isCandidate(1)]).toEqual([true, false]);
});

test("copies go to different zones, and as many as there are zones, two at most", () => {
  const { lenders } = world("auto", [1000, 1000, 1000, 1000], ["a", "a", "b", "a"]);
  expect(lenders.copiesWanted).toBe(2);
  for (let i = 0; i < 100; i += 1) {
    const first = lenders.choose(OPEN);
    const second = lenders.choose(OPEN, withCopy(NO_COPIES, first));
    expect([first === 2, second === 2]).toContain(true);
    expect(second).not.toBe(first);
    const both = withCopy(withCopy(NO_COPIES, first), second);
    expect(lenders.choose(OPEN, both)).toBe(-1);
  }
  expect([lenders.hasUsable(2), lenders.hasUsable(3)]).toEqual([true, false]);
  refuse(lenders, 2);
  expect([lenders.hasUsable(1), lenders.hasUsable(2)]).toEqual([true, false]);
  lenders.remove(2);
  expect(lenders.copiesWanted).toBe(1);
});

test("a fixed number of copies is kept to, however few lenders there are", () => {
  const { lenders } = world("auto", [1000]);
  expect(lenders.copiesWanted).toBe(1);
  lenders.setReplicas(3);
  expect([lenders.copiesWanted, lenders.hasUsable(3)]).toEqual([3, false]);
  lenders.setTarget(0);
  expect(lenders.copiesWanted).toBe(1);
});

test("a single lender with room is found, whatever is drawn", () => {
  const frames = Array.from({ length: 40 }, () => 1000);
  const { lenders } = world("auto", [...frames, 20]);
  for (let node = 0; node < 40; node += 1) refuse(lenders, node);
  for (let i = 0; i < 20; i += 1) expect(lenders.choose(OPEN)).toBe(40);
});

test("a lender that accepts pages again has a short pause after its next refusal", () => {
  const { clock, lenders } = world("auto", [1000]);
  /** How long it gets nothing. */
  const pause = (): number => {
    refuse(lenders, 0);
    const startMs = clock.now();
    while (lenders.choose(OPEN) < 0) clock.run(clock.now() + 1);
    return clock.now() - startMs;
  };
  const pauses = [pause(), pause(), pause()];
  expect(pauses[2]).toBeGreaterThan(3 * (pauses[0] ?? 0));
  lenders.noteSent(0, BATCH);
  lenders.noteAnswered(0, BATCH.byteCount, "accepted");
  expect(pause()).toBe(pauses[0] ?? 0);
});
