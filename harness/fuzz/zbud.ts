/**
 * zbud: a few hundred random stores, frees, evictions and zombies against a plain Map, with all
 * invariants checked on the way.
 */
import { PAGE_BYTES, ZBUD_HEADER_BYTES, ZPAGE_BYTES_MAX } from "../../src/core/limits.ts";
import { below, type Random } from "../../src/core/random.ts";
import { FramePool } from "../../src/frames/frame-pool.ts";
import { HeapMemory } from "../../src/memory/heap-memory.ts";
import { EPHEMERAL, type Kind, PERSISTENT, ZBUD_OWNER_OFFSET, Zbud } from "../../src/zbud/zbud.ts";
import { check, type Fuzzer, type FuzzTarget } from "./fuzzer.ts";

export const zbud: Fuzzer = {
  name: "zbud",
  about: "stores, frees, evictions and zombies against a Map",
  smokeRuns: 60,
  open: async () => ({ run: (random) => new Episode(random).play() }) satisfies FuzzTarget,
};

const FRAMES = 24;
const STEPS = 300;

interface Stored {
  readonly owner: number;
  readonly kind: Kind;
  readonly zpageBytes: number;
}

/** One store from its first zpage to its last. */
class Episode {
  private readonly random: Random;
  private readonly frames: FramePool;
  private readonly zbud: Zbud;
  private readonly stored = new Map<number, Stored>();
  private readonly zombies = new Set<number>();
  private nextOwner = 1;

  constructor(random: Random) {
    const memory = new HeapMemory();
    this.random = random;
    this.frames = new FramePool(memory, { frameCountMax: FRAMES });
    this.zbud = new Zbud(memory, this.frames);
  }

  play(): void {
    for (let step = 0; step < STEPS; step += 1) {
      this.step();
      if (step % 16 === 0) this.zbud.verify();
    }
    for (const frame of this.zombies) this.zbud.resurrect(frame);
    this.zombies.clear();
    this.zbud.verify();
    for (const ref of [...this.stored.keys()]) this.free(ref);
    this.zbud.verify();
    check(this.frames.framesUsed === 0, "a frame is left when all zpages are freed");
    this.zbud.close();
    this.frames.close();
  }

  private step(): void {
    const kind = below(this.random, 2) === 0 ? EPHEMERAL : PERSISTENT;
    const choice = below(this.random, 16);
    if (choice < 8) this.store(kind);
    else if (choice < 9) this.storeWhole(kind);
    else if (choice < 13) this.free(this.anyRef());
    else if (choice < 14) this.evict();
    else if (choice < 15) this.makeZombie(kind);
    else this.resurrect();
  }

  private store(kind: Kind): void {
    const zpageBytes = 1 + below(this.random, ZPAGE_BYTES_MAX);
    const owner = this.nextOwner;
    const bytes = zbudBytes(owner, zpageBytes);
    let ref = this.zbud.match(bytes, 0, zpageBytes, kind);
    if (ref === 0) {
      const frame = this.frames.take();
      if (frame === 0) return;
      ref = this.zbud.create(frame, bytes, 0, zpageBytes, kind);
    } else {
      const lone = this.stored.get(ref ^ 1);
      check(lone?.kind === kind, "matched with nothing, or with a zpage of the other kind");
      check(!this.zombies.has(ref >>> 1), "matched with a zombie");
    }
    this.keep(ref, { owner, kind, zpageBytes });
  }

  private storeWhole(kind: Kind): void {
    const frame = this.frames.take();
    if (frame === 0) return;
    const owner = this.nextOwner;
    const page = new Uint8Array(PAGE_BYTES).fill(owner);
    const ref = this.zbud.createWhole(frame, page, 0, kind, owner, -owner);
    check(this.zbud.wholeChecksum(ref) === -owner, "checksum of a whole page");
    this.keep(ref, { owner, kind, zpageBytes: PAGE_BYTES });
  }

  private keep(ref: number, stored: Stored): void {
    check(!this.stored.has(ref), "a zbudref that is taken was given again");
    this.stored.set(ref, stored);
    this.nextOwner += 1;
    this.expectThere(ref, stored);
  }

  private free(ref: number): void {
    const stored = this.stored.get(ref);
    if (stored === undefined) return;
    this.expectThere(ref, stored);
    this.stored.delete(ref);
    const isLast = !this.stored.has(ref ^ 1);
    const frame = this.zbud.free(ref);
    check(frame === (isLast ? ref >>> 1 : 0), "a frame comes back with its last zpage");
    if (!isLast) return;
    this.zombies.delete(frame);
    this.frames.give(frame);
  }

  private evict(): void {
    const evicted: number[] = [];
    const frame = this.zbud.evict({
      onEvict: (owner, ref) => {
        const stored = this.stored.get(ref);
        check(
          stored?.owner === owner && stored.kind === EPHEMERAL,
          "evicted what is not ephemeral",
        );
        check(this.zbud.free(ref) === 0, "a free of a dying zpage is ignored");
        evicted.push(ref);
      },
    });
    for (const ref of evicted) this.stored.delete(ref);
    if (frame === 0) {
      check(!this.hasLive(EPHEMERAL), "nothing was evicted though there was something");
      return;
    }
    check(
      !this.stored.has(frame * 2) && !this.stored.has(frame * 2 + 1),
      "every zpage of an evicted frame is reported",
    );
    check(!this.zombies.has(frame), "a zombie was evicted");
    this.frames.give(frame);
  }

  private makeZombie(kind: Kind): void {
    const hadLive = this.hasLive(kind);
    const frame = this.zbud.makeZombie(kind);
    check((frame !== 0) === hadLive, "a zombie where there is a live frame, and only there");
    if (frame !== 0) this.zombies.add(frame);
  }

  private resurrect(): void {
    const [frame] = this.zombies;
    if (frame === undefined) return;
    this.zombies.delete(frame);
    this.zbud.resurrect(frame);
  }

  private hasLive(kind: Kind): boolean {
    for (const [ref, stored] of this.stored) {
      if (stored.kind === kind && !this.zombies.has(ref >>> 1)) return true;
    }
    return false;
  }

  private anyRef(): number {
    const refs = [...this.stored.keys()];
    return refs[below(this.random, refs.length)] ?? 0;
  }

  private expectThere(ref: number, { owner, zpageBytes }: Stored): void {
    check(this.zbud.zpageBytes(ref) === zpageBytes, "size of a zpage");
    check(this.zbud.ownerOf(ref) === owner, "owner of a zpage");
    check(this.zbud.isZombie(ref >>> 1) === this.zombies.has(ref >>> 1), "state of a frame");
    const zpage = new Uint8Array(zpageBytes);
    this.zbud.readZpage(ref, zpageBytes, zpage, 0);
    const fill = owner & 0xff;
    check(
      zpage.every((byte) => byte === fill),
      "contents of a zpage",
    );
  }
}

/** Header and zpage, filled from the owner's number so that a mix-up shows. */
function zbudBytes(owner: number, zpageBytes: number): Uint8Array {
  const bytes = new Uint8Array(ZBUD_HEADER_BYTES + zpageBytes).fill(owner);
  new DataView(bytes.buffer).setInt32(ZBUD_OWNER_OFFSET, owner);
  return bytes;
}
