/**
 * Checker: what each page of one pool must hold, kept outside the nodes. It takes one number a
 * page: the generation of the last accepted put, or 0 when there must be no page.
 *
 * A missing persistent page is lost. An ephemeral page may be missing, and is then gone. Bytes that
 * differ from the generation of the last put are wrong, whatever they are.
 */
import { PAGE_BYTES } from "../../src/core/limits.ts";
import type { PageSource } from "./page-source.ts";

export interface Verdicts {
  wrong: number;
  lost: number;
  unreachable: number;
  /** The first few failures, as text. */
  examples: string[];
}

export function noVerdicts(): Verdicts {
  return { wrong: 0, lost: 0, unreachable: 0, examples: [] };
}

const EXAMPLES_MAX = 5;

/** The outcome of a get: a page, nothing, or an error of the node. */
export type Got = Uint8Array | null | "lost" | "unreachable";

export class Checker {
  readonly persistent: boolean;
  private readonly source: PageSource;
  private readonly node: number;
  private readonly pool: number;
  private readonly generations: Int32Array;
  private readonly verdicts: Verdicts;
  private readonly expected = new Uint8Array(PAGE_BYTES);
  private lastGeneration = 0;

  constructor(
    parts: { source: PageSource; verdicts: Verdicts },
    options: { node: number; pool: number; persistent: boolean; keyCount: number },
  ) {
    this.source = parts.source;
    this.verdicts = parts.verdicts;
    this.node = options.node;
    this.pool = options.pool;
    this.persistent = options.persistent;
    this.generations = new Int32Array(options.keyCount);
  }

  /** Makes the page of the next put. */
  nextPage(key: number): { page: Uint8Array; generation: number } {
    this.lastGeneration += 1;
    const page = new Uint8Array(PAGE_BYTES);
    const generation = this.lastGeneration;
    this.source.write(page, { node: this.node, pool: this.pool, key, generation });
    return { page, generation };
  }

  /** The put was answered. A refused put must have left nothing. */
  putDone(key: number, generation: number, stored: boolean): void {
    this.generations[key] = stored ? generation : 0;
  }

  flushed(key: number): void {
    this.generations[key] = 0;
  }

  /** Judges the outcome of a get. `removed`: the get removed the page. */
  check(key: number, got: Got, removed: boolean): void {
    const generation = this.generations[key] ?? 0;
    if (got === "unreachable") {
      this.verdicts.unreachable += 1;
      this.note(`page ${this.name(key)} cannot be reached`);
    } else if (got === "lost") {
      this.verdicts.lost += 1;
      this.note(`page ${this.name(key)} is lost, says the node`);
    } else if (got === null) {
      if (generation !== 0 && this.persistent) {
        this.verdicts.lost += 1;
        this.note(`page ${this.name(key)} is missing: generation ${generation} was accepted`);
      }
      this.generations[key] = 0;
    } else {
      this.compare(key, got, generation);
      if (removed) this.generations[key] = 0;
    }
  }

  /** Whether the key must have a page at present. */
  has(key: number): boolean {
    return (this.generations[key] ?? 0) !== 0;
  }

  private compare(key: number, got: Uint8Array, generation: number): void {
    const name = { node: this.node, pool: this.pool, key, generation };
    if (generation !== 0) this.source.write(this.expected, name);
    if (generation !== 0 && Buffer.compare(got, this.expected) === 0) return;
    this.verdicts.wrong += 1;
    const head = Buffer.from(got.subarray(0, 16)).toString("hex");
    this.note(`page ${this.name(key)} holds ${head}..., expected generation ${generation}`);
  }

  private name(key: number): string {
    return `${this.node}/${this.pool}/${key}`;
  }

  private note(example: string): void {
    if (this.verdicts.examples.length < EXAMPLES_MAX) this.verdicts.examples.push(example);
  }
}
