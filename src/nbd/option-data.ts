/**
 * OptionData: the data of one option, field by field. What does not fit, or is no text, is null,
 * and so is all that follows.
 */
import { STRING_BYTES_MAX } from "./protocol.ts";

export class OptionData {
  byteCount = 0;
  private bytes: Uint8Array = new Uint8Array(0);
  private view: DataView = new DataView(new ArrayBuffer(0));
  private at = 0;
  private isBroken = false;
  private readonly decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  set(bytes: Uint8Array, at: number, byteCount: number): void {
    this.bytes = bytes.subarray(at, at + byteCount);
    this.view = new DataView(bytes.buffer, bytes.byteOffset + at, byteCount);
    this.byteCount = byteCount;
    this.at = 0;
    this.isBroken = false;
  }

  /** Whether all of it was read, and all of it was well. */
  get isAtEnd(): boolean {
    return !this.isBroken && this.at === this.byteCount;
  }

  u16(): number | null {
    const at = this.advance(2);
    return at === null ? null : this.view.getUint16(at);
  }

  u32(): number | null {
    const at = this.advance(4);
    return at === null ? null : this.view.getUint32(at);
  }

  /** Its length as u32, and the text. */
  string(): string | null {
    const byteCount = this.u32();
    return byteCount === null ? null : this.text(byteCount);
  }

  /** All that is left, as text. */
  rest(): string | null {
    return this.text(this.byteCount - this.at);
  }

  private text(byteCount: number): string | null {
    if (byteCount > STRING_BYTES_MAX) this.isBroken = true;
    const at = this.advance(byteCount);
    if (at === null) return null;
    try {
      return this.decoder.decode(this.bytes.subarray(at, at + byteCount));
    } catch {
      this.isBroken = true; // No UTF-8.
      return null;
    }
  }

  private advance(byteCount: number): number | null {
    if (this.isBroken || this.byteCount - this.at < byteCount) {
      this.isBroken = true;
      return null;
    }
    this.at += byteCount;
    return this.at - byteCount;
  }
}
