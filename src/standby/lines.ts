/**
 * LineStream: short lines of text on a stream between processes of one node.
 *
 * A line has words. The first one says what it is. Lines of words that the other side does not know
 * are no error, since it may be another version of this program.
 */
import { assert } from "../core/assert.ts";
import { freeBuffer } from "../core/buffers.ts";
import type { Stream, StreamEvents } from "../net/transport.ts";

/** More than this in one line, or so much that the other side does not read, ends the stream. */
const LINE_BYTES_MAX = 256;

export class LineStream implements StreamEvents {
  private readonly onLine: (words: readonly string[]) => void;
  private readonly onEnd: () => void;
  private stream: Stream | null = null;
  private text = "";
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
    const { stream } = this;
    if (stream === null) return;
    // So little always fits, unless the other side has stopped reading for long.
    if (stream.write(bytes, 0, bytes.length) < bytes.length) stream.terminate();
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

  onDrain(): void {}

  onClose(): void {
    this.stream = null;
    this.onEnd();
  }
}
