/**
 * LineStream: short lines of text on a stream between processes of one node.
 *
 * A line has words. The first one says what it is. Lines of words that the other side does not know
 * are no error, since it may be another version of this program.
 */
import { assert } from "../core/assert.ts";
import { freeBuffer } from "../core/buffers.ts";
import type { Stream, StreamEvents } from "../net/transport.ts";

/** A longer line ends the stream. */
const LINE_BYTES_MAX = 256;
/** So does a reader that leaves so much unread. */
const UNSENT_BYTES_MAX = 4096;

export class LineStream implements StreamEvents {
  private readonly onLine: (words: readonly string[]) => void;
  private readonly onEnd: () => void;
  private stream: Stream | null = null;
  private text = "";
  private unsent = new Uint8Array(0);
  private readonly first: string;

  /** `first` is sent as soon as the stream is open. `onEnd` is called once. */
  constructor(events: {
    first: string;
    onLine: (words: readonly string[]) => void;
    onEnd: () => void;
  }) {
    this.first = events.first;
    this.onLine = events.onLine;
    this.onEnd = events.onEnd;
  }

  /** Does nothing on a stream that is not open. */
  send(line: string): void {
    const bytes = new TextEncoder().encode(`${line}\n`);
    assert(bytes.length <= LINE_BYTES_MAX, line);
    if (this.stream === null) return;
    this.unsent = Buffer.concat([this.unsent, bytes]);
    this.onDrain(this.stream);
    if (this.unsent.length > UNSENT_BYTES_MAX) this.stream?.terminate();
  }

  close(): void {
    this.stream?.end();
  }

  onOpen(stream: Stream): void {
    this.stream = stream;
    this.send(this.first);
  }

  onData(stream: Stream, chunk: Uint8Array): void {
    this.text += new TextDecoder().decode(chunk);
    freeBuffer(chunk);
    const lines = this.text.split("\n");
    this.text = lines.pop() ?? "";
    for (const line of lines) this.onLine(line.split(" "));
    if (this.text.length > LINE_BYTES_MAX) stream.terminate();
  }

  onDrain(stream: Stream): void {
    const taken = stream.write(this.unsent, 0, this.unsent.length);
    this.unsent = this.unsent.slice(taken);
  }

  onClose(): void {
    this.stream = null;
    this.onEnd();
  }
}
