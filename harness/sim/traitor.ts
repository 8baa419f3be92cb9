/**
 * Traitor: a lender that returns other bytes than it was given, with a matching checksum. It can do
 * that because it knows the owner's boot id, from which the owner's checksums start.
 */

import { crc32 } from "node:zlib";
import { ownerSeed } from "../../src/compress/checksum.ts";
import { CODEC } from "../../src/compress/codec.ts";
import { assert } from "../../src/core/assert.ts";
import { HANDLE_BYTES, Handle } from "../../src/core/handle.ts";
import { FRAME_BYTES } from "../../src/core/limits.ts";
import { writeVersion } from "../../src/core/version.ts";
import type { Zpage } from "../../src/core/zpage.ts";
import type { Zcache } from "../../src/zcache/zcache.ts";
import type { SimNode } from "./cluster.ts";

/**
 * "alter" changes a bit. "swap" returns another page of the same owner. "replay" returns an older
 * version of the page under its present number, and "stale" under its own number. "codec" names a
 * codec that the page does not have.
 */
export type Treason = "alter" | "swap" | "replay" | "stale" | "codec";

interface Kept {
  readonly bytes: Uint8Array;
  readonly codec: number;
  readonly version: number;
}

export class Traitor {
  /** How many wrong answers it has given. */
  lies = 0;
  private readonly zcache: Zcache;
  private readonly seed: number;
  private readonly treason: Treason;
  private readonly handle = new Handle();
  /** By handle: the first version that it was given. */
  private readonly first = new Map<string, Kept>();
  private lastRead: (Kept & { readonly page: number }) | null = null;

  constructor(node: SimNode, owner: SimNode, treason: Treason) {
    const { foreign } = node.node;
    assert(foreign !== null);
    this.zcache = foreign.zcache;
    this.seed = ownerSeed(owner.node.bootId);
    this.treason = treason;
    const { zcache } = this;
    const putZpage = zcache.putZpage.bind(zcache);
    zcache.putZpage = (pool, handle, zpage, seed) => {
      const name = handle.toString();
      if (!this.first.has(name)) this.first.set(name, keep(zpage));
      return putZpage(pool, handle, zpage, seed);
    };
    const readZpage = zcache.readZpage.bind(zcache);
    zcache.readZpage = (page, target, at) => this.lie(page, readZpage(page, target, at));
  }

  private lie(page: number, zpage: Zpage): Zpage {
    this.zcache.tmem.readHandle(page, this.handle);
    const other = this.other(page, zpage);
    if (other === null) return zpage;
    this.lies += 1;
    zpage.bytes.set(other.bytes, zpage.at);
    zpage.zpageBytes = other.bytes.length;
    zpage.codec = other.codec;
    if (this.treason === "stale") zpage.version = other.version;
    const prefix = new DataView(new ArrayBuffer(HANDLE_BYTES + 8));
    this.handle.write(prefix, 0);
    writeVersion(prefix, HANDLE_BYTES, zpage.version);
    const seed = crc32(new Uint8Array(prefix.buffer), this.seed);
    zpage.checksum = crc32(other.bytes, seed);
    return zpage;
  }

  /** The page to return instead, or null: there is none. */
  private other(page: number, zpage: Zpage): Kept | null {
    const real = keep(zpage);
    switch (this.treason) {
      case "alter": {
        const last = real.bytes.length - 1;
        real.bytes[last] = (real.bytes[last] ?? 0) ^ 1;
        return real;
      }
      case "codec":
        return { ...real, codec: CODEC.ZSTD_DICTIONARY };
      case "swap": {
        const before = this.lastRead;
        this.lastRead = { ...real, page };
        return before === null || before.page === page ? null : before;
      }
      case "replay":
      case "stale": {
        const first = this.first.get(this.handle.toString());
        return first === undefined || first.version === zpage.version ? null : first;
      }
    }
  }
}

function keep({ bytes, at, zpageBytes, codec, version }: Zpage): Kept {
  return { bytes: bytes.slice(at, at + zpageBytes), codec, version };
}

/** All memory that the node may lend, used or not. */
export function lentBytes(node: SimNode): Buffer {
  const { foreign } = node.node;
  assert(foreign !== null);
  const { frames } = foreign.zcache;
  const bytes = Buffer.alloc(frames.frameCountMax * FRAME_BYTES);
  for (let frame = 1; frame <= frames.frameCountMax; frame += 1) {
    frames.read(frame, 0, bytes, (frame - 1) * FRAME_BYTES, FRAME_BYTES);
  }
  return bytes;
}
