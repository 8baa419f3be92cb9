/**
 * Truth: where pages really are, over all nodes, which no node can know. The owner's record names
 * the holders of a page's copies; here the stores of these holders are checked.
 */
import type { Handle } from "../../src/core/handle.ts";
import { Handle as HandleOf } from "../../src/core/handle.ts";
import { COPIES_MAX, FRAME_BYTES, PAGE_BYTES } from "../../src/core/limits.ts";
import { HEADER_BYTES } from "../../src/placement/placement.ts";
import { copyAt, copyCount, hasCopy, SPILL } from "../../src/ramster/copies.ts";
import { TAG } from "../../src/tmem/pampd.ts";
import { LOCAL_CLIENT } from "../../src/tmem/tmem.ts";
import type { SimCluster, SimNode } from "./cluster.ts";

export class Truth {
  private readonly sim: SimCluster;
  private readonly handle = new HandleOf();
  private readonly zpage = new Uint8Array(HEADER_BYTES + PAGE_BYTES);
  /** Boots of nodes whose disk may have damaged anything. */
  private readonly flipped = new Set<bigint>();

  constructor(sim: SimCluster) {
    this.sim = sim;
  }

  /**
   * Calls `visit` with each persistent page of the owner that is away, and its number of good
   * copies on nodes that are up and not `without`. A copy on the owner's disk counts as any number,
   * since no other node can lose it. The handle is valid until `visit` returns.
   */
  eachAway(
    owner: SimNode,
    without: SimNode | null,
    visit: (handle: Handle, copies: number, page: number) => void,
  ): void {
    const { ramster } = owner.node;
    const { tmem } = ramster.zcache;
    for (let page = tmem.pageAfter(0); page < tmem.pageEnd; page = tmem.pageAfter(page)) {
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
   * Calls `visit` with each page that has as many bad copies, not known to be bad, as the owner
   * wants copies. Copies are bad if their holder is down, or was down, and one more if `isDamaged`
   * returns true for the page. With `mayWantOne` the owner may want a single copy at any moment. It
   * then trusts one at a holder whose link ended without a message.
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
    for (let page = tmem.pageAfter(0); page < tmem.pageEnd; page = tmem.pageAfter(page)) {
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

  /** Whether the holder is down, or has no page of the owner's present boot. */
  private isGone(holder: SimNode, owner: SimNode): boolean {
    return !holder.isUp || holder.node.foreign?.bootIdOf(owner.number) !== owner.node.bootId;
  }

  /** Whether the owner has a link to an earlier boot of the holder, and takes it for up. */
  private seemsLinked(owner: SimNode, holder: SimNode): boolean {
    const { links } = owner.node;
    if (links.channelOf(holder.number) === null) return false;
    const seen = links.peers().find(({ node }) => node === holder.number)?.bootId;
    return !holder.isUp || seen !== holder.node.bootId;
  }

  /**
   * Calls `visit` with each persistent page that the holder has while its owner, waiting for the
   * answer, does not name the holder. A late answer would make the owner trust that copy.
   */
  eachOnItsWay(owner: SimNode, holder: SimNode, visit: (handle: Handle) => void): void {
    const { ramster } = owner.node;
    const { tmem, placement } = ramster.zcache;
    for (let page = tmem.pageAfter(0); page < tmem.pageEnd; page = tmem.pageAfter(page)) {
      if (!tmem.isLive(page) || !tmem.poolOf(page).persistent) continue;
      const tag = tmem.tag(page);
      // A page that is here and goes nowhere has at most a pending flush.
      const isLeaving = tag === TAG.LOCAL && placement.isLeaving(tmem.place(page));
      const isAway = tag === TAG.REMOTE && !hasCopy(ramster.copiesOf(page), holder.number);
      if (!isLeaving && !isAway) continue;
      tmem.readHandle(page, this.handle);
      if (this.recordAt(holder, owner, page) !== 0) visit(this.handle);
    }
  }

  /** Whether the owner's record of the page names the holder. */
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

  /** Counts pages that are away without a good copy: they can be neither read nor copied. */
  damagedCount(owner: SimNode): number {
    let count = 0;
    this.eachAway(owner, null, (_handle, good) => {
      if (good === 0) count += 1;
    });
    return count;
  }

  /**
   * Counts own pages that are leaving, with nothing in flight and apart from damaged pages, which
   * stay where they are. With zbud the page beside a damaged one stays, too.
   */
  strayPages(node: SimNode): number {
    const { zcache } = node.node.ramster;
    const { tmem, placement } = zcache;
    const leaving: number[] = [];
    const damagedFrames = new Set<number>();
    const frameOf = (page: number) =>
      Math.floor(placement.positionOf(tmem.place(page), 0) / FRAME_BYTES);
    for (let page = tmem.pageAfter(0); page < tmem.pageEnd; page = tmem.pageAfter(page)) {
      if (!tmem.isTaken(page) || tmem.tag(page) !== TAG.LOCAL) continue;
      if (!placement.isLeaving(tmem.place(page))) continue;
      tmem.readHandle(page, this.handle);
      if (zcache.isIntactHere(page, this.handle)) leaving.push(page);
      else damagedFrames.add(frameOf(page));
    }
    return leaving.filter((page) => !damagedFrames.has(frameOf(page))).length;
  }

  /**
   * Finds differences, a phrase each: copies that a record names and the holder does not have, and
   * persistent pages at a holder that their owner's record does not name.
   */
  differences(): string[] {
    const differences: string[] = [];
    const nodes = this.sim.nodes.filter((node) => node.isUp);
    for (const owner of nodes) {
      const { ramster } = owner.node;
      const { tmem } = ramster.zcache;
      for (let page = tmem.pageAfter(0); page < tmem.pageEnd; page = tmem.pageAfter(page)) {
        if (!tmem.isLive(page) || tmem.tag(page) !== TAG.REMOTE) continue;
        if (!tmem.poolOf(page).persistent) continue;
        tmem.readHandle(page, this.handle);
        const copies = ramster.copiesOf(page);
        for (let i = 0; i < copyCount(copies); i += 1) {
          if (copyAt(copies, i) === SPILL) continue;
          const holder = this.sim.byNumber(copyAt(copies, i));
          if (holder !== null && this.recordAt(holder, owner, page) !== 0) continue;
          const named = `node ${copyAt(copies, i)} in version ${tmem.version(page)}`;
          differences.push(`${this.nameOf(owner)} is not at ${named}`);
        }
      }
    }
    for (const holder of nodes) this.eachOrphan(holder, (name) => differences.push(name));
    return differences;
  }

  private eachOrphan(holder: SimNode, report: (name: string) => void): void {
    const { foreign } = holder.node;
    if (foreign === null) return;
    const { tmem } = foreign.zcache;
    for (let page = tmem.pageAfter(0); page < tmem.pageEnd; page = tmem.pageAfter(page)) {
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
      report(`node ${holder.index} keeps ${owner === null ? "" : this.nameOf(owner)} ${version}`);
    }
  }

  private nameOf(owner: SimNode): string {
    const { pool, oid1lo, index } = this.handle;
    return `page ${pool}/${oid1lo}/${index} of node ${owner.index}`;
  }

  /** `handle` is the page's. @returns its record at the holder, or 0. */
  private recordAt(holder: SimNode, owner: SimNode, page: number): number {
    const { foreign } = holder.node;
    if (!holder.isUp || foreign === null) return 0;
    if (foreign.bootIdOf(owner.number) !== owner.node.bootId) return 0;
    const { tmem } = foreign.zcache;
    const pool = tmem.pool(owner.number, this.handle.pool);
    const record = pool === null ? 0 : tmem.find(pool, this.handle);
    const { zcache } = owner.node.ramster;
    return record !== 0 && tmem.version(record) === zcache.tmem.version(page) ? record : 0;
  }

  /** `handle` is the page's. */
  private hasGood(holder: SimNode, owner: SimNode, page: number): boolean {
    const { foreign } = holder.node;
    const record = this.recordAt(holder, owner, page);
    if (record === 0 || foreign === null) return false;
    const staged = foreign.zcache.readZpage(record, this.zpage, HEADER_BYTES);
    return owner.node.ramster.zcache.isIntact(this.handle, staged);
  }
}

export const OWN = LOCAL_CLIENT;
