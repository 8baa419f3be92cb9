/**
 * OptionData: reads the data of one option, field by field. A field that does not fit, or is not
 * valid UTF-8, is null, and so is every field after it.
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

  /** Whether all data was read, and all fields were valid. */
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

  /** A u32 length, and as many bytes of text. */
  string(): string | null {
    const byteCount = this.u32();
    return byteCount === null ? null : this.text(byteCount);
  }

  /** The remaining data as text. */
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
      this.isBroken = true; // Not UTF-8.
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
