/**
 * KillLoad: what a kernel does with an export whose server dies and comes back. It writes, reads
 * and discards pages, many at a time, and knows what each page may be:
 *
 *     answered      the page has these bytes
 *     cut off       the page has the bytes of before, or those of the request, or is lost where the
 *                   store was full; a kernel sends the request again
 */
import { PAGE_BYTES } from "../../src/core/limits.ts";
import { below, type Random, SeededRandom } from "../../src/core/random.ts";
import type { Address } from "../../src/net/address.ts";
import { BunTransport } from "../../src/net/bun.ts";
import { BareClient, READ, TRIM, WRITE } from "../nbd/bare-client.ts";

const PAGES_PER_REQUEST_MAX = 16;
const REQUESTS_AT_ONCE = 8;
/** The number of a page that was never written, or was discarded. */
const ZEROS = 0;

export class KillLoad {
  answered = 0;
  /** Pages that were cut off and had neither the old bytes nor the new ones, but an error. */
  lost = 0;
  private readonly random: Random;
  private readonly pageCount: number;
  private client = new BareClient();
  /** By page: the number of its contents. */
  private readonly contents: Uint32Array;
  /** By page: what requests that are under way, or were cut off, make of it. */
  private readonly pending = new Map<number, number>();
  private lastContent = ZEROS;

  constructor(random: Random, byteCount: number) {
    this.random = random;
    this.pageCount = byteCount / PAGE_BYTES;
    this.contents = new Uint32Array(this.pageCount);
  }

  /** Connects, checks every page that was cut off, and sends its request again. */
  async connect(address: Address, name: string): Promise<void> {
    this.client = new BareClient();
    new BunTransport().connect(address, this.client);
    await this.client.negotiate({ form: "simple", name });
    for (const page of [...this.pending.keys()]) await this.settle(page);
  }

  disconnect(): void {
    this.client.stream?.terminate();
  }

  /** Sends requests until the server is gone. */
  async run(): Promise<void> {
    await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, () => this.loop()));
  }

  async checkAll(): Promise<void> {
    for (let page = 0; page < this.pageCount; page += PAGES_PER_REQUEST_MAX) {
      const count = Math.min(PAGES_PER_REQUEST_MAX, this.pageCount - page);
      await this.read(page, count);
    }
  }

  private async loop(): Promise<void> {
    for (;;) {
      const page = below(this.random, this.pageCount);
      const wanted = 1 + below(this.random, PAGES_PER_REQUEST_MAX);
      const count = this.freeFrom(page, wanted);
      const kind = below(this.random, 10);
      if (count === 0) await Promise.resolve();
      else if (kind < 6) await this.change(WRITE, page, count);
      else if (kind === 6) await this.change(TRIM, page, count);
      else await this.read(page, count);
      if (this.client.isClosed) return;
    }
  }

  /** How many pages from `page` on have no request under way. */
  private freeFrom(page: number, wanted: number): number {
    const end = Math.min(this.pageCount, page + wanted);
    for (let at = page; at < end; at += 1) if (this.pending.has(at)) return at - page;
    return end - page;
  }

  private async change(type: number, page: number, count: number): Promise<void> {
    const data = new Uint8Array(count * PAGE_BYTES);
    for (let i = 0; i < count; i += 1) {
      this.lastContent += type === WRITE ? 1 : 0;
      const content = type === WRITE ? this.lastContent : ZEROS;
      this.pending.set(page + i, content);
      fill(data, i * PAGE_BYTES, content);
    }
    const at = { offset: page * PAGE_BYTES, length: count * PAGE_BYTES };
    const reply = await this.client.ask({ type, ...at, ...(type === WRITE ? { data } : {}) });
    if (reply.error === -1) return;
    if (reply.error !== 0) throw new Error(`a change of page ${page} failed: ${reply.error}`);
    for (let i = 0; i < count; i += 1) {
      this.contents[page + i] = this.pending.get(page + i) ?? ZEROS;
      this.pending.delete(page + i);
    }
    this.answered += 1;
  }

  private async read(page: number, count: number): Promise<void> {
    const expected = this.contents.slice(page, page + count);
    const at = { offset: page * PAGE_BYTES, length: count * PAGE_BYTES };
    const reply = await this.client.ask({ type: READ, ...at });
    if (reply.error === -1) return;
    if (reply.error !== 0) throw new Error(`a read of page ${page} failed: ${reply.error}`);
    for (let i = 0; i < count; i += 1) {
      // Another request may have changed it meanwhile: then it is checked later.
      const isSame = this.contents[page + i] === expected[i] && !this.pending.has(page + i);
      if (isSame && !has(reply.data, i * PAGE_BYTES, expected[i] ?? ZEROS)) {
        throw new Error(`page ${page + i} has other bytes than content ${expected[i]}`);
      }
    }
    this.answered += 1;
  }

  private async settle(page: number): Promise<void> {
    const at = { offset: page * PAGE_BYTES, length: PAGE_BYTES };
    const [before, after] = [this.contents[page] ?? ZEROS, this.pending.get(page) ?? ZEROS];
    const reply = await this.client.ask({ type: READ, ...at });
    if (reply.error === -1) return;
    if (reply.error !== 0) this.lost += 1;
    else if (!has(reply.data, 0, before) && !has(reply.data, 0, after)) {
      throw new Error(`page ${page}, which was cut off, is neither content ${before} nor ${after}`);
    }
    this.pending.delete(page);
    await this.change(after === ZEROS ? TRIM : WRITE, page, 1);
  }
}

/** Writes the page of that number: distinct bytes, of which a part compresses. */
function fill(data: Uint8Array, at: number, content: number): void {
  if (content === ZEROS) return;
  const words = new Uint32Array(data.buffer, at, PAGE_BYTES / 4);
  const dense = 64 + (Math.imul(content, 0x9e3779b1) >>> 22);
  let word = content;
  for (let i = 0; i < words.length; i += 1) {
    // The generator of Numerical Recipes: quick, with other words for each page.
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
    words[i] = i < dense ? word : content;
  }
}

function has(data: Uint8Array, at: number, content: number): boolean {
  const page = new Uint8Array(PAGE_BYTES);
  fill(page, 0, content);
  return Buffer.compare(page, data.subarray(at, at + PAGE_BYTES)) === 0;
}

/** A load that draws everything from the seed. */
export function killLoad(seed: number, byteCount: number): KillLoad {
  return new KillLoad(new SeededRandom(seed), byteCount);
}
