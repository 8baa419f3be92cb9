/** A bare HTTP client: sends any bytes, and keeps all that arrives until the connection closes. */
import type { TcpAddress } from "../../src/net/address.ts";
import type { Stream, StreamEvents, Transport } from "../../src/net/transport.ts";

export class HttpClient implements StreamEvents {
  /** All bytes received, one character a byte. */
  text = "";
  isClosed = false;
  private readonly stream: Stream;
  private isOpen = false;
  private waiting = new Uint8Array(0);

  constructor(transport: Transport, address: TcpAddress) {
    this.stream = transport.connect(address, this);
  }

  send(text: string): void {
    const more = Uint8Array.from(text, (character) => character.charCodeAt(0));
    this.waiting = new Uint8Array([...this.waiting, ...more]);
    if (this.isOpen) this.onDrain();
  }

  /** Reads nothing from now on. */
  stall(): void {
    this.stream.pause();
  }

  end(): void {
    this.stream.terminate();
  }

  /** Status lines of all answers. */
  get statuses(): number[] {
    const lines = this.text.matchAll(/^HTTP\/1\.1 (\d{3}) [A-Z]/gm);
    return Array.from(lines, ([, status]) => Number(status));
  }

  /** The body of the last answer. */
  get body(): string {
    return this.text.slice(this.text.lastIndexOf("\r\n\r\n") + 4);
  }

  onOpen(): void {
    this.isOpen = true;
    this.onDrain();
  }

  onData(_stream: Stream, chunk: Uint8Array): void {
    this.text += String.fromCharCode(...chunk);
  }

  onDrain(): void {
    const taken = this.stream.write(this.waiting, 0, this.waiting.byteLength);
    this.waiting = this.waiting.slice(taken);
  }

  onClose(): void {
    this.isClosed = true;
  }
}
