/**
 * lz4: a shim over the raw exports of lz4-wasm 0.9.2 (lz4_flex compiled to WebAssembly).
 *
 * The package's own glue makes several views and one array for each call. This shim keeps two views
 * of the module's memory, and moves bytes by offset:
 *
 *     compress     malloc(4096)       copy in   compress     copy out from byte 4 on   free
 *     decompress   malloc(4 + bytes)  copy in   decompress   copy out                  free
 *
 * What the exports expect:
 *   - Both free their input, and return a new output that the caller frees with its length.
 *   - A block has its size in front, u32. The size is neither stored nor sent: `decompress` writes
 *     PAGE_BYTES there itself, so that no foreign size reaches the module's allocator.
 *   - Both write (address, length, error, is error) through a result pointer: 16 bytes on the
 *     module's stack.
 *   - `malloc` may grow the memory. Views of the old memory then have length 0, and are renewed.
 *   - The format forbids an offset of zero in a block, but the module accepts it and leaves bytes
 *     of an earlier page in the output. So the place of the output is cleared first.
 *   - After a trap the stack pointer and the allocator are undefined, so the instance is replaced.
 *
 * Not here: checking that the page is the right one (checksum.ts).
 */
import { readFile } from "node:fs/promises";
import wasmPath from "lz4-wasm/lz4_wasm_bg.wasm" with { type: "file" };
import { PAGE_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { CODEC, type Codec, codecName } from "./codec.ts";

/**
 * The longest block that a page compresses to: LZ4_compressBound of lz4.h. A longer block is
 * refused unread.
 */
export const LZ4_BLOCK_BYTES_MAX = PAGE_BYTES + Math.floor(PAGE_BYTES / 255) + 16;

const SIZE_PREFIX_BYTES = 4;

/** What lz4_wasm_bg.wasm exports. Addresses are offsets in `memory`. */
export interface Lz4Exports {
  readonly memory: WebAssembly.Memory;
  compress(result: number, address: number, byteCount: number): void;
  decompress(result: number, address: number, byteCount: number): void;
  __wbindgen_add_to_stack_pointer(change: number): number;
  __wbindgen_malloc(byteCount: number): number;
  __wbindgen_free(address: number, byteCount: number): void;
}

/** See Codec. Made by `Lz4.load`. */
export class Lz4 implements Codec {
  readonly id = CODEC.LZ4;
  readonly name = codecName(CODEC.LZ4);
  readonly library = null;
  /**
   * How often an instance was replaced after a trap. Zero unless the module has a bug.
   */
  restarts = 0;
  private readonly memory: Memory;
  private readonly module: WebAssembly.Module;
  private wasm: Lz4Exports;
  private bytes: Uint8Array;
  private words: Int32Array;
  /** Result pointer in words of 32 bits. */
  private result: number;

  private constructor(memory: Memory, module: WebAssembly.Module) {
    this.memory = memory;
    this.module = module;
    this.wasm = instantiateLz4(module);
    this.bytes = new Uint8Array(this.wasm.memory.buffer);
    this.words = new Int32Array(this.wasm.memory.buffer);
    this.result = this.wasm.__wbindgen_add_to_stack_pointer(-16) >> 2;
  }

  /** Compiles the module: once in a process. Works inside a compiled binary too. */
  static async load(memory: Memory): Promise<Lz4> {
    return new Lz4(memory, await compileLz4());
  }

  compress(
    source: Uint8Array,
    sourceOffset: number,
    target: Uint8Array,
    targetOffset: number,
    targetBytesMax: number,
  ): number {
    try {
      return this.tryCompress(source, sourceOffset, target, targetOffset, targetBytesMax);
    } catch (error) {
      this.restart(error);
    }
    return this.tryCompress(source, sourceOffset, target, targetOffset, targetBytesMax);
  }

  decompress(
    source: Uint8Array,
    sourceOffset: number,
    sourceBytes: number,
    target: Uint8Array,
    targetOffset: number,
  ): boolean {
    if (sourceBytes < 1 || sourceBytes > LZ4_BLOCK_BYTES_MAX) return false;
    try {
      return this.tryDecompress(source, sourceOffset, sourceBytes, target, targetOffset);
    } catch (error) {
      this.restart(error);
    }
    // The instance may have been at fault, not the zpage. Try once more with a new instance.
    try {
      return this.tryDecompress(source, sourceOffset, sourceBytes, target, targetOffset);
    } catch (error) {
      this.restart(error);
      return false;
    }
  }

  private tryCompress(
    source: Uint8Array,
    sourceOffset: number,
    target: Uint8Array,
    targetOffset: number,
    targetBytesMax: number,
  ): number {
    const wasm = this.wasm;
    const input = wasm.__wbindgen_malloc(PAGE_BYTES);
    if (this.bytes.length === 0) this.takeViews();
    this.memory.copy(this.bytes, input, source, sourceOffset, PAGE_BYTES);
    wasm.compress(this.result << 2, input, PAGE_BYTES);
    if (this.bytes.length === 0) this.takeViews();
    const output = this.resultWord(0);
    const outputBytes = this.resultWord(1);
    const blockBytes = outputBytes - SIZE_PREFIX_BYTES;
    const fits = blockBytes <= targetBytesMax;
    if (fits) {
      const block = output + SIZE_PREFIX_BYTES;
      this.memory.copy(target, targetOffset, this.bytes, block, blockBytes);
    }
    wasm.__wbindgen_free(output, outputBytes);
    return fits ? blockBytes : 0;
  }

  private tryDecompress(
    source: Uint8Array,
    sourceOffset: number,
    sourceBytes: number,
    target: Uint8Array,
    targetOffset: number,
  ): boolean {
    const wasm = this.wasm;
    const inputBytes = SIZE_PREFIX_BYTES + sourceBytes;
    const input = wasm.__wbindgen_malloc(inputBytes);
    // `decompress` begins with malloc(PAGE_BYTES), which returns this same place again.
    const cleared = wasm.__wbindgen_malloc(PAGE_BYTES);
    if (this.bytes.length === 0) this.takeViews();
    this.words[input >> 2] = PAGE_BYTES;
    this.memory.copy(this.bytes, input + SIZE_PREFIX_BYTES, source, sourceOffset, sourceBytes);
    this.bytes.fill(0, cleared, cleared + PAGE_BYTES);
    wasm.__wbindgen_free(cleared, PAGE_BYTES);
    wasm.decompress(this.result << 2, input, inputBytes);
    if (this.bytes.length === 0) this.takeViews();
    if (this.resultWord(3) !== 0) return false;
    const output = this.resultWord(0);
    const outputBytes = this.resultWord(1);
    if (output !== cleared) throw new WebAssembly.RuntimeError("The output was not cleared");
    const whole = outputBytes === PAGE_BYTES;
    if (whole) this.memory.copy(target, targetOffset, this.bytes, output, PAGE_BYTES);
    wasm.__wbindgen_free(output, outputBytes);
    return whole;
  }

  private resultWord(word: number): number {
    return this.words[this.result + word] ?? 0;
  }

  private takeViews(): void {
    this.bytes = new Uint8Array(this.wasm.memory.buffer);
    this.words = new Int32Array(this.wasm.memory.buffer);
  }

  /**
   * Replaces the instance after a trap. Any other error is a bug of this program and is rethrown.
   */
  private restart(error: unknown): void {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    this.restarts += 1;
    this.wasm = instantiateLz4(this.module);
    this.takeViews();
    this.result = this.wasm.__wbindgen_add_to_stack_pointer(-16) >> 2;
  }
}

/** The module of the package, compiled. */
export async function compileLz4(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await readFile(wasmPath));
}

/** A new instance. Its one import makes the string of an error, which nobody reads. */
export function instantiateLz4(module: WebAssembly.Module): Lz4Exports {
  const imports = { "./lz4_wasm_bg.js": { __wbindgen_string_new: () => 0 } };
  const instance = new WebAssembly.Instance(module, imports);
  return instance.exports as unknown as Lz4Exports;
}
