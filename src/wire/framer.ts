/**
 * Framer: any split of bytes to whole frames.
 *
 *     chunk:   | rest of a frame | frame | frame | first part of a frame |
 *               to assembly        in place         to assembly
 *
 * A frame that lies whole in a chunk is given out in place, without a copy. One that is split is
 * put together in one buffer, which is made no longer than a header that was found valid declares,
 * is used again, and is given up after an unusually long frame.
 *
 * After a throw, its own or the sink's, the place in the stream is lost: every later push throws
 * too.
 *
 * Not here: what the body of a type must look like (messages.ts).
 */
import { WireError } from "../core/errors.ts";
import { ASSEMBLY_KEEP_BYTES, HEADER_BYTES } from "../core/limits.ts";
import type { Memory } from "../core/memory.ts";
import { HEADER, invalidHeader } from "./header.ts";

export interface FrameSink {
  /** `frame` is one object, filled again for every frame: it is good during the call only. */
  onFrame(frame: Frame): void;
}

/** A message in the bytes that it came in. */
export class Frame {
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(this.bytes.buffer);
  /** Where the header starts. */
  at = 0;
  type = 0;
  request = 0;
  flags = 0;
  transportStatus = 0;
  handlerStatus = 0;
  count = 0;
  bodyAt = 0;
  bodyBytes = 0;
}

export class Framer {
  private readonly sink: FrameSink;
  private readonly memory: Memory;
  private readonly frame = new Frame();
  private assembly = new Uint8Array(HEADER_BYTES);
  private assemblyView = new DataView(this.assembly.buffer);
  /**
   * Bytes in assembly, and how many there must be: of the header, or, once that is valid, of the
   * frame.
   */
  private have = 0;
  private want = HEADER_BYTES;
  /** Within push; still set afterwards when push was left by a throw. */
  private isOutOfStep = false;

  constructor(sink: FrameSink, memory: Memory) {
    this.sink = sink;
    this.memory = memory;
  }

  /**
   * Takes the next bytes of the stream. Throws WireError BAD_FRAME, or what the sink throws: the
   * stream must be closed then. The sink must not push.
   */
  push(chunk: Uint8Array): void {
    if (this.isOutOfStep) {
      throw new WireError("BAD_FRAME", "Cannot read message: an earlier one was not read");
    }
    this.isOutOfStep = true;
    this.take(chunk);
    this.isOutOfStep = false;
  }

  private take(chunk: Uint8Array): void {
    let at = this.have > 0 ? this.assemble(chunk) : 0;
    if (at === chunk.byteLength) return;
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    while (chunk.byteLength - at >= HEADER_BYTES) {
      const frameBytes = this.checkedFrameBytes(view, at);
      if (chunk.byteLength - at < frameBytes) break;
      this.give(chunk, view, at);
      at += frameBytes;
    }
    if (at < chunk.byteLength) this.assemble(chunk, at);
  }

  /**
   * Puts bytes of the chunk from `start` to what is in assembly. @returns where the chunk goes on.
   */
  private assemble(chunk: Uint8Array, start = 0): number {
    let at = start;
    while (at < chunk.byteLength) {
      const count = Math.min(this.want - this.have, chunk.byteLength - at);
      this.memory.copy(this.assembly, this.have, chunk, at, count);
      this.have += count;
      at += count;
      if (this.have < this.want) return at;
      if (this.want === HEADER_BYTES) {
        this.want = this.checkedFrameBytes(this.assemblyView, 0);
        this.growAssembly();
        if (this.have < this.want) continue;
      }
      this.give(this.assembly, this.assemblyView, 0);
      this.have = 0;
      this.want = HEADER_BYTES;
      if (this.assembly.byteLength > ASSEMBLY_KEEP_BYTES) this.giveUpAssembly();
      return at;
    }
    return at;
  }

  private growAssembly(): void {
    if (this.assembly.byteLength >= this.want) return;
    const header = this.assembly;
    this.setAssembly(this.want);
    this.memory.copy(this.assembly, 0, header, 0, HEADER_BYTES);
  }

  private giveUpAssembly(): void {
    this.setAssembly(HEADER_BYTES);
    // Else the frame that was given out last would keep the long buffer until the next one.
    this.frame.bytes = this.assembly;
    this.frame.view = this.assemblyView;
  }

  private setAssembly(byteCount: number): void {
    this.assembly = new Uint8Array(byteCount);
    this.assemblyView = new DataView(this.assembly.buffer);
  }

  private checkedFrameBytes(view: DataView, at: number): number {
    const reason = invalidHeader(view, at);
    if (reason !== null) throw new WireError("BAD_FRAME", `Cannot read message: ${reason}`);
    return HEADER_BYTES + view.getUint32(at + HEADER.BODY_BYTES);
  }

  private give(bytes: Uint8Array, view: DataView, at: number): void {
    const { frame } = this;
    frame.bytes = bytes;
    frame.view = view;
    frame.at = at;
    frame.type = view.getUint8(at + HEADER.TYPE);
    frame.bodyBytes = view.getUint32(at + HEADER.BODY_BYTES);
    frame.request = view.getUint32(at + HEADER.REQUEST);
    frame.flags = view.getUint8(at + HEADER.FLAGS);
    frame.transportStatus = view.getUint8(at + HEADER.TRANSPORT_STATUS);
    frame.handlerStatus = view.getUint8(at + HEADER.HANDLER_STATUS);
    frame.count = view.getUint32(at + HEADER.COUNT);
    frame.bodyAt = at + HEADER_BYTES;
    this.sink.onFrame(frame);
  }
}
