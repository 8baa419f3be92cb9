/**
 * DeviceLoad: what a kernel does with an export. It writes pages and reads them back, one request
 * at a time, and checks each byte. Every request must be answered without an error.
 */
import { below, type Random } from "../../src/core/random.ts";
import type { Address } from "../../src/net/address.ts";
import { BunTransport } from "../../src/net/bun.ts";
import { BareClient, READ, WRITE } from "../nbd/bare-client.ts";

const REQUEST_BYTES = 64 * 1024;

export class DeviceLoad {
  requestCount = 0;
  /** The longest duration of a request. */
  slowestMs = 0;
  private readonly client = new BareClient();
  private readonly random: Random;
  /** The number of the latest write to each range; 0: none. */
  private readonly written: Uint32Array;

  constructor(random: Random, byteCount: number) {
    this.random = random;
    this.written = new Uint32Array(byteCount / REQUEST_BYTES);
  }

  /** Connects, and writes the whole export once. */
  async start(address: Address, name: string): Promise<void> {
    new BunTransport().connect(address, this.client);
    await this.client.negotiate({ form: "simple", name });
    for (let range = 0; range < this.written.length; range += 1) await this.write(range);
  }

  /** Writes or reads a random range. Rejects when that fails, or gives other bytes. */
  async step(): Promise<void> {
    const range = below(this.random, this.written.length);
    if (below(this.random, 3) === 0) await this.write(range);
    else await this.read(range);
  }

  async readAll(): Promise<void> {
    for (let range = 0; range < this.written.length; range += 1) await this.read(range);
  }

  stop(): void {
    this.client.stream?.terminate();
  }

  private async write(range: number): Promise<void> {
    const generation = (this.written[range] ?? 0) + 1;
    const data = contentOf(range, generation);
    await this.ask(WRITE, range, data);
    this.written[range] = generation;
  }

  private async read(range: number): Promise<void> {
    const data = await this.ask(READ, range);
    if (Buffer.compare(data, contentOf(range, this.written[range] ?? 0)) !== 0) {
      throw new Error(`The device returned wrong bytes at offset ${range * REQUEST_BYTES}`);
    }
  }

  private async ask(type: number, range: number, data?: Uint8Array): Promise<Uint8Array> {
    const startMs = performance.now();
    const at = { offset: range * REQUEST_BYTES, length: REQUEST_BYTES };
    const reply = await this.client.ask({ type, ...at, ...(data === undefined ? {} : { data }) });
    const tookMs = performance.now() - startMs;
    this.slowestMs = Math.max(this.slowestMs, tookMs);
    this.requestCount += 1;
    if (reply.error === 0) return reply.data;
    const what = `${type === READ ? "read" : "write"} of the device at ${at.offset}`;
    throw new Error(`A ${what} failed with error ${reply.error} after ${Math.round(tookMs)} ms`);
  }
}

/** Distinct pages, half of whose bytes compress. */
function contentOf(range: number, generation: number): Uint8Array {
  const bytes = new Uint8Array(REQUEST_BYTES);
  const words = new Uint32Array(bytes.buffer);
  let word = (range * 65_537 + generation) >>> 0;
  for (let i = 0; i < words.length; i += 1) {
    // The generator of Numerical Recipes: quick, with other words for each page.
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
    words[i] = i % 1024 < 512 ? word : range;
  }
  return bytes;
}
