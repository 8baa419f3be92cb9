/** OptionReplies: writes the replies to one option to the output. */
import type { Output } from "./output.ts";
import { INFO, OPTION_REPLY_BYTES, OPTION_REPLY_MAGIC, REPLY } from "./protocol.ts";

export class OptionReplies {
  /** The option that is answered. */
  option = 0;
  private readonly output: Output;
  private readonly encoder = new TextEncoder();

  constructor(output: Output) {
    this.output = output;
  }

  ack(): void {
    this.begin(REPLY.ACK, 0);
  }

  /** `reason` is text for a person. */
  error(type: number, reason: string): void {
    const text = this.encoder.encode(reason);
    const at = this.begin(type, text.byteLength);
    this.output.bytes.set(text, at);
  }

  server(name: string): void {
    const text = this.encoder.encode(name);
    const at = this.begin(REPLY.SERVER, 4 + text.byteLength);
    this.output.view.setUint32(at, text.byteLength);
    this.output.bytes.set(text, at + 4);
  }

  infoExport(byteCount: number, flags: number): void {
    const at = this.begin(REPLY.INFO, 12);
    this.output.view.setUint16(at, INFO.EXPORT);
    this.output.view.setBigUint64(at + 2, BigInt(byteCount));
    this.output.view.setUint16(at + 10, flags);
  }

  infoBlockSize(least: number, preferred: number, most: number): void {
    const at = this.begin(REPLY.INFO, 14);
    this.output.view.setUint16(at, INFO.BLOCK_SIZE);
    this.output.view.setUint32(at + 2, least);
    this.output.view.setUint32(at + 6, preferred);
    this.output.view.setUint32(at + 10, most);
  }

  infoText(info: number, words: string): void {
    const text = this.encoder.encode(words);
    const at = this.begin(REPLY.INFO, 2 + text.byteLength);
    this.output.view.setUint16(at, info);
    this.output.bytes.set(text, at + 2);
  }

  metaContext(id: number, name: string): void {
    const text = this.encoder.encode(name);
    const at = this.begin(REPLY.META_CONTEXT, 4 + text.byteLength);
    this.output.view.setUint32(at, id);
    this.output.bytes.set(text, at + 4);
  }

  /** Writes the header and makes room for the data. @returns where the data goes. */
  private begin(type: number, byteCount: number): number {
    const { output } = this;
    output.reserve(OPTION_REPLY_BYTES + byteCount);
    const { view, tail } = output;
    view.setUint32(tail, OPTION_REPLY_MAGIC.hi);
    view.setUint32(tail + 4, OPTION_REPLY_MAGIC.lo);
    view.setUint32(tail + 8, this.option);
    view.setUint32(tail + 12, type);
    view.setUint32(tail + 16, byteCount);
    output.commit(OPTION_REPLY_BYTES + byteCount);
    return tail + OPTION_REPLY_BYTES;
  }
}
