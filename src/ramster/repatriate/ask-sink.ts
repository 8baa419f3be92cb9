/** AskSink: who is told how the asks of holders and of the disk end. */
import type { ZpageEntry } from "../../wire/peer-entries.ts";

/** Told of each ask. The fetch may have ended meanwhile. */
export interface AskSink {
  /** What the holder said: a Status, and its zpage if that is OK. Valid until it returns. */
  onAnswer(ask: number, status: number, zpage: ZpageEntry): void;
  /** `linkLost`: it may answer on the next link. */
  onNoAnswer(ask: number, linkLost: boolean): void;
}
