/**
 * Truth: what is really where, over all nodes, as no node can know it. The owner's record says
 * which holders have copies of a page; here each of these stores is looked into.
 */
import type { Handle } from "../../src/core/handle.ts";
import { Handle as HandleOf } from "../../src/core/handle.ts";
import { COPIES_MAX, PAGE_BYTES } from "../../src/core/limits.ts";
import { copyAt, copyCount, hasCopy, SPILL } from "../../src/ramster/copies.ts";
import { TAG } from "../../src/tmem/pampd.ts";
import { LOCAL_CLIENT } from "../../src/tmem/tmem.ts";
import type { SimCluster, SimNode } from "./cluster.ts";

export class Truth {
  private readonly sim: SimCluster;
  private readonly handle = new HandleOf();
  private readonly zpage = new Uint8Array(PAGE_BYTES);
  /** Boots of nodes whose disk may have damaged anything. */
  private readonly flipped = new Set<bigint>();

  constructor(sim: SimCluster) {
    this.sim = sim;
  }

  /**
   * Calls `visit` with each persistent page of the owner that is away, and how many good copies of
   * it there are on nodes that are up and not `without`; one on its own disk is worth any number,
   * since no node can take it along. The handle is valid until it returns.
   */
  eachAway(
    owner: SimNode,
    without: SimNode | null,
    visit: (handle: Handle, copies: number, page: number) => void,
  ): void {
    const { ramster } = owner.node;
    const { tmem } = ramster.zcache;
    for (let page = 1; page < tmem.pageEnd; page += 1) {
      if (!tmem.isLive(page) || tmem.tag(page) !== TAG.REMOTE) continue;
      if (!tmem.poolOf(page).persistent) continue;
      tmem.readHandle(page, this.handle);
      const copies = ramster.copiesOf(page);
      let good = 0;
      for (let i = 0; i < copyCount(copies); i += 1) {
        const holder = this.sim.byNumber(copyAt(copies, i));
        if (holder !== null && holder !== without && this.hasGood(holder, owner, page)) good += 1;
      }
      if (hasCopy(copies, SPILL) && !this.isDiskFlipped(owner)) good += COPIES_MAX;
      visit(this.handle, good, page);
    }
  }

  /** Bits on the node's disk have changed. */
  diskFlipped(node: SimNode): void {
    this.flipped.add(node.node.bootId);
  }

  isDiskFlipped(node: SimNode): boolean {
    return this.flipped.has(node.node.bootId);
  }

  /**
   * Calls `visit` with each page that has as many copies that are bad, and unknown to be so, as the
   * owner wants: their holder is down, or has been, or, of one, `isDamaged` says so. With
   * `mayWantOne` the owner may want a single copy at any moment, and then counts on one at a holder
   * whose link has ended without a word.
   */
  eachInDoubt(
    owner: SimNode,
    mayWantOne: boolean,
    isDamaged: ((handle: Handle) => boolean) | null,
    visit: (handle: Handle) => void,
  ): void {
    const { ramster } = owner.node;
    const { tmem } = ramster.zcache;
    const badMin = ramster.copiesWanted;
    const goneNodes = this.sim.nodes.filter((it) => this.isGone(it, owner));
    const gone = goneNodes.map(({ number }) => number);
    const trusted = goneNodes
      .filter((it) => mayWantOne && this.seemsLinked(owner, it))
      .map(({ number }) => number);
    const goneMin = badMin - (isDamaged === null ? 0 : 1);
    if (gone.length < goneMin && trusted.length === 0) return;
    for (let page = 1; page < tmem.pageEnd; page += 1) {
      if (!tmem.isLive(page) || tmem.tag(page) !== TAG.REMOTE) continue;
      const copies = ramster.copiesOf(page);
      const isTrusted = trusted.some((node) => hasCopy(copies, node));
      const goneCount = gone.filter((node) => hasCopy(copies, node)).length;
      if (goneCount < goneMin && !isTrusted) continue;
      tmem.readHandle(page, this.handle);
      const isInDoubt = goneCount >= badMin || isTrusted;
      if (isInDoubt || isDamaged?.(this.handle) === true) visit(this.handle);
    }
  }

  /** Whether the holder is down, or has nothing of the owner's present life. */
  private isGone(holder: SimNode, owner: SimNode): boolean {
    return !holder.isUp || holder.node.foreign?.bootIdOf(owner.number) !== owner.node.bootId;
  }

  /** Whether the owner has a link to an earlier life of the holder, and takes it for up. */
  private seemsLinked(owner: SimNode, holder: SimNode): boolean {
    const { links } = owner.node;
    if (links.channelOf(holder.number) === null) return false;
    const seen = links.peers().find(({ node }) => node === holder.number)?.bootId;
    return !holder.isUp || seen !== holder.node.bootId;
  }

  /**
   * Calls `visit` with each persistent page that the holder has and that its owner, waiting for the
   * answer, does not name it for: whoever hears it late takes the holder for one that has it.
   */
  eachOnItsWay(owner: SimNode, holder: SimNode, visit: (handle: Handle) => void): void {
    const { ramster } = owner.node;
    const { tmem, zbud } = ramster.zcache;
    for (let page = 1; page < tmem.pageEnd; page += 1) {
      if (!tmem.isLive(page) || !tmem.poolOf(page).persistent) continue;
      const tag = tmem.tag(page);
      // A page that is here and goes nowhere has a pending flush at most.
      const isLeaving = tag === TAG.LOCAL && zbud.isZombie(tmem.place(page) >>> 1);
      const isAway = tag === TAG.REMOTE && !hasCopy(ramster.copiesOf(page), holder.number);
      if (!isLeaving && !isAway) continue;
      tmem.readHandle(page, this.handle);
      if (this.held(holder, owner, page) !== 0) visit(this.handle);
    }
  }

  /** Whether the owner's record of the page says that the holder has a copy. */
  isNamed(owner: SimNode, handle: Handle, holder: SimNode): boolean {
    const { ramster } = owner.node;
    const { tmem } = ramster.zcache;
    const pool = tmem.pool(LOCAL_CLIENT, handle.pool);
    const page = pool === null ? 0 : tmem.find(pool, handle);
    if (page === 0 || tmem.tag(page) !== TAG.REMOTE) return false;
    return hasCopy(ramster.copiesOf(page), holder.number);
  }

  /** Whether every page that is away has at least `copies` good copies. */
  isWhole(owner: SimNode, copies: number): boolean {
    let whole = true;
    this.eachAway(owner, null, (_handle, good) => {
      whole = whole && good >= copies;
    });
    return whole;
  }

  /** How many pages are away of which no copy is good: they can be had nowhere, nor copied. */
  damagedCount(owner: SimNode): number {
    let count = 0;
    this.eachAway(owner, null, (_handle, good) => {
      if (good === 0) count += 1;
    });
    return count;
  }

  /**
   * Frames of its own that the node keeps from being moved, with nothing under way and but for
   * damaged pages: these stay where they are.
   */
  strayZombies(node: SimNode): number {
    const { zcache } = node.node.ramster;
    let count = 0;
    for (let frame = 1; frame <= zcache.frames.frameCountMax; frame += 1) {
      if (!zcache.zbud.isZombie(frame)) continue;
      let isDamaged = false;
      this.eachIn(zcache, frame, (_client, handle, page) => {
        if (!zcache.isIntactHere(page, handle)) isDamaged = true;
      });
      if (!isDamaged) count += 1;
    }
    return count;
  }

  /**
   * What does not fit, a phrase each: copies that a record names and the holder has not got, and
   * persistent pages that a holder keeps and whose owner does not name it.
   */
  differences(): string[] {
    const found: string[] = [];
    const nodes = this.sim.nodes.filter((node) => node.isUp);
    for (const owner of nodes) {
      const { ramster } = owner.node;
      const { tmem } = ramster.zcache;
      for (let page = 1; page < tmem.pageEnd; page += 1) {
        if (!tmem.isLive(page) || tmem.tag(page) !== TAG.REMOTE) continue;
        if (!tmem.poolOf(page).persistent) continue;
        tmem.readHandle(page, this.handle);
        const copies = ramster.copiesOf(page);
        for (let i = 0; i < copyCount(copies); i += 1) {
          if (copyAt(copies, i) === SPILL) continue;
          const holder = this.sim.byNumber(copyAt(copies, i));
          if (holder !== null && this.held(holder, owner, page) !== 0) continue;
          const named = `node ${copyAt(copies, i)} in version ${tmem.version(page)}`;
          found.push(`${this.nameOf(owner)} is not at ${named}`);
        }
      }
    }
    for (const holder of nodes) this.eachOrphan(holder, (name) => found.push(name));
    return found;
  }

  private eachOrphan(holder: SimNode, tell: (name: string) => void): void {
    const { foreign } = holder.node;
    if (foreign === null) return;
    const { tmem } = foreign.zcache;
    for (let page = 1; page < tmem.pageEnd; page += 1) {
      if (!tmem.isLive(page) || !tmem.poolOf(page).persistent) continue;
      tmem.readHandle(page, this.handle);
      const owner = this.sim.byNumber(tmem.poolOf(page).client);
      const own = owner?.node.ramster.zcache.tmem;
      const pool = own?.pool(LOCAL_CLIENT, this.handle.pool) ?? null;
      const record = own === undefined || pool === null ? 0 : own.find(pool, this.handle);
      const isNamed =
        owner !== null &&
        own?.tag(record) === TAG.REMOTE &&
        own.version(record) === tmem.version(page) &&
        hasCopy(owner.node.ramster.copiesOf(record), holder.number);
      if (isNamed) continue;
      const version = `version ${tmem.version(page)}`;
      tell(`node ${holder.index} keeps ${owner === null ? "" : this.nameOf(owner)} ${version}`);
    }
  }

  private nameOf(owner: SimNode): string {
    const { pool, oid1lo, index } = this.handle;
    return `page ${pool}/${oid1lo}/${index} of node ${owner.index}`;
  }

  /** `handle` is the page's. @returns its record at the holder, or 0. */
  private held(holder: SimNode, owner: SimNode, page: number): number {
    const { foreign } = holder.node;
    if (!holder.isUp || foreign === null) return 0;
    if (foreign.bootIdOf(owner.number) !== owner.node.bootId) return 0;
    const { tmem } = foreign.zcache;
    const pool = tmem.pool(owner.number, this.handle.pool);
    const held = pool === null ? 0 : tmem.find(pool, this.handle);
    const { zcache } = owner.node.ramster;
    return held !== 0 && tmem.version(held) === zcache.tmem.version(page) ? held : 0;
  }

  /** `handle` is the page's. */
  private hasGood(holder: SimNode, owner: SimNode, page: number): boolean {
    const { foreign } = holder.node;
    const held = this.held(holder, owner, page);
    if (held === 0 || foreign === null) return false;
    const staged = foreign.zcache.readZpage(held, this.zpage, 0);
    return owner.node.ramster.zcache.isIntact(this.handle, staged);
  }

  /** Calls `visit` with the handle of each page of the node that the frame holds. */
  eachIn(
    zcache: SimNode["node"]["ramster"]["zcache"],
    frame: number,
    visit: (client: number, handle: Handle, page: number) => void,
  ): void {
    const { zbud, tmem } = zcache;
    for (let ref = frame * 2; ref <= frame * 2 + 1; ref += 1) {
      if (zbud.zpageBytes(ref) === 0) continue;
      const page = zbud.ownerOf(ref);
      tmem.readHandle(page, this.handle);
      visit(tmem.poolOf(page).client, this.handle, page);
    }
  }
}

export const OWN = LOCAL_CLIENT;
