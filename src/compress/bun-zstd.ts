/**
 * zstd by the runtime: the codec `zstd` at level 1, without a dictionary, where there is no
 * libzstd. Its zpages are those of libzstd. Frames of the runtime differ from them in the header
 * alone, which is rewritten:
 *
 *     zpage              | 0 | window | block header | content |
 *     from the runtime   | magic | 0x60 | bytes of a page | block header | content |
 *     to the runtime     | magic | 0x40 | window | bytes of a page | block header | content |
 *
 * The runtime's functions return a new array each. So unlike the other codecs, this one allocates
 * for each page. The array is freed at once.
 *
 * Not here: the format of a zpage (zstd-frame.ts).
 */
import { freeBuffer } from "../core/buffers.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { assertRange } from "../memory/heap-memory.ts";
import { CODEC, type Codec, codecName } from "./codec.ts";
import { isOneBlock, ZSTD_HEADER_BYTES, ZSTD_ZPAGE_BYTES_MAX } from "./zstd-frame.ts";

const LEVEL = { level: 1 } as const;

const MAGIC = [0x28, 0xb5, 0x2f, 0xfd] as const;
/** The size of the content of a frame, when it takes two bytes: 256 less. */
const PAGE_SIZE_FIELD = [(PAGE_BYTES - 256) & 0xff, (PAGE_BYTES - 256) >> 8] as const;
/** The content is one segment, so there is no window. */
const HEADER_OF_RUNTIME = [...MAGIC, 0x60, ...PAGE_SIZE_FIELD] as const;
const HEADER_TO_RUNTIME = [...MAGIC, 0x40, 0, ...PAGE_SIZE_FIELD] as const;
const WINDOW_AT = MAGIC.length + 1;
/** 4 KiB, as libzstd writes it for a page: (10 + 2) bits. */
const WINDOW_OF_PAGE = 0x10;

/** See Codec. */
export class BunZstd implements Codec {
  readonly id = CODEC.ZSTD;
  readonly name = codecName(CODEC.ZSTD);
  readonly library = null;
  /** The zpage as a frame for the runtime. */
  private readonly frame = new Uint8Array(HEADER_TO_RUNTIME.length + ZSTD_ZPAGE_BYTES_MAX);

  constructor() {
    this.frame.set(HEADER_TO_RUNTIME);
  }

  /** Also 0 when the runtime writes another kind of frame. */
  compress(
    source: Uint8Array,
    sourceOffset: number,
    target: Uint8Array,
    targetOffset: number,
    targetBytesMax: number,
  ): number {
    assertRange(source.byteLength, sourceOffset, PAGE_BYTES);
    const page = source.subarray(sourceOffset, sourceOffset + PAGE_BYTES);
    const made = Bun.zstdCompressSync(page, LEVEL);
    const byteCount = this.toZpage(made);
    if (byteCount > 0 && byteCount <= targetBytesMax) {
      assertRange(target.byteLength, targetOffset, byteCount);
      // The header of a zpage is shorter, so it takes the place of the end of the other one.
      target.set(made.subarray(made.byteLength - byteCount), targetOffset);
      freeBuffer(made);
      return byteCount;
    }
    freeBuffer(made);
    return 0;
  }

  /** Puts the header of a zpage in front of the block. @returns how long it is, or 0. */
  private toZpage(made: Uint8Array): number {
    if (!HEADER_OF_RUNTIME.every((byte, i) => made[i] === byte)) return 0;
    const at = HEADER_OF_RUNTIME.length - ZSTD_HEADER_BYTES;
    made[at] = 0;
    made[at + 1] = WINDOW_OF_PAGE;
    const byteCount = made.byteLength - at;
    return isOneBlock(made, at, byteCount, 0) ? byteCount : 0;
  }

  decompress(
    source: Uint8Array,
    sourceOffset: number,
    sourceBytes: number,
    target: Uint8Array,
    targetOffset: number,
  ): boolean {
    if (!isOneBlock(source, sourceOffset, sourceBytes, 0)) return false;
    assertRange(source.byteLength, sourceOffset, sourceBytes);
    assertRange(target.byteLength, targetOffset, PAGE_BYTES);
    const { frame } = this;
    frame[WINDOW_AT] = source[sourceOffset + 1] ?? 0;
    const block = source.subarray(sourceOffset + ZSTD_HEADER_BYTES, sourceOffset + sourceBytes);
    frame.set(block, HEADER_TO_RUNTIME.length);
    const page = decompressed(frame.subarray(0, HEADER_TO_RUNTIME.length + block.byteLength));
    if (page === null) return false;
    const isPage = page.byteLength === PAGE_BYTES;
    if (isPage) target.set(page, targetOffset);
    freeBuffer(page);
    return isPage;
  }
}

/** Null: the bytes are no frame of a page. */
function decompressed(frame: Uint8Array): Uint8Array | null {
  try {
    return Bun.zstdDecompressSync(frame as Uint8Array<ArrayBuffer>);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_ZSTD") return null;
    throw error;
  }
}
