/**
 * LiveStream: the messages for live watchers (monitoring/live.ts) as server-sent events, the format
 * that the EventSource of a browser reads (HTML Standard, section 9.2).
 *
 * A browser that has not read the last message is left out until it has.
 */
import type { HttpStream, HttpStreamClient } from "../http/answer.ts";
import { LIVE_START, type Live, type LiveCursor } from "../monitoring/live.ts";

export const LIVE_TYPE = "text/event-stream";

/** When a browser connects again after the connection was lost. */
const RETRY_MS = 2000;

/** The begin of the stream. */
export const LIVE_HEAD = `retry: ${RETRY_MS}\n\n`;

export class LiveStream implements HttpStream {
  private readonly live: Live;
  private readonly all: Set<LiveStream>;
  private cursor: LiveCursor = LIVE_START;
  private stopWatching: () => void = () => {};

  /** `all` has the streams that are open. */
  constructor(live: Live, all: Set<LiveStream>) {
    this.live = live;
    this.all = all;
  }

  onOpen(client: HttpStreamClient): void {
    this.all.add(this);
    this.stopWatching = this.live.watch(() => this.update(client));
    this.update(client);
  }

  onClosed(): void {
    this.all.delete(this);
    this.stopWatching();
  }

  private update(client: HttpStreamClient): void {
    if (!client.isReady) return;
    const message = this.live.messageAfter(this.cursor);
    if (message === null) return;
    client.send(`data: ${message.text}\n\n`);
    this.cursor = message.next;
  }
}
