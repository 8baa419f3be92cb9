/** AskSink: gets the answers of holders and of the disk. */
import type { Zpage } from "../../core/zpage.ts";

/** Called once for each ask. The fetch may have ended meanwhile. */
export interface AskSink {
  /** The answer: a Status, and the zpage if that is OK. `zpage` is valid during the call only. */
  onAnswer(ask: number, status: number, zpage: Zpage): void;
  /** There is no answer. With `linkLost` the holder may answer on the next link. */
  onNoAnswer(ask: number, linkLost: boolean): void;
}
