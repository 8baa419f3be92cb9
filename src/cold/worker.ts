/**
 * The Worker that compresses cold pages again: messages to jobs, and back. It is an entry of its
 * own in the compiled program, as main.ts is.
 *
 * Its thread is an IO flusher if the thread that started it is one (node/swap-mode.ts).
 *
 * The Worker lowers the priority of its thread only after WARM_UP_PAGES pages, when the code of a
 * job is compiled. Before that, the runtime starts threads of its compiler, from whichever thread
 * has code to compile. A new thread has the priority of the thread that starts it (own-thread.ts).
 * The compiler serves all threads of the process, so with a low priority it would delay the main
 * thread as well.
 *
 * Not here: what a job does (recompression.ts), and what happens when this thread fails
 * (worker-recompressor.ts).
 */
import { OwnThread } from "../memory/own-thread.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { openRecompression } from "./open-recompression.ts";
import type { Recompression } from "./recompression.ts";
import { BATCH_ZPAGES, WARM_UP_PAGES } from "./recompressor.ts";
import { ZpageBatch } from "./zpage-batch.ts";

declare const self: Worker;

interface Open {
  readonly work: Recompression;
  readonly batch: ZpageBatch;
}

class ColdWorker {
  private open: Open | null = null;
  private pagesLeft = WARM_UP_PAGES;
  private readonly thread = OwnThread.open();

  async take(message: ToWorker): Promise<void> {
    try {
      if (message.kind === "open") await this.start(message);
      else if (this.open !== null) this.run(this.open, message);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.post({ kind: "failed", reason });
    }
  }

  private async start(message: ToWorker & { kind: "open" }): Promise<void> {
    const work = await openRecompression(message);
    this.open = { work, batch: new ZpageBatch(message.buffer, BATCH_ZPAGES) };
    this.post({ kind: "ready" });
  }

  private run({ work, batch }: Open, message: Exclude<ToWorker, { kind: "open" }>): void {
    const before = this.nowMs();
    switch (message.kind) {
      case "add":
        return work.add(message.number, message.dictionary);
      case "remove":
        return work.remove(message.number);
      case "recompress": {
        batch.count = message.count;
        const faults = work.recompress(batch);
        this.post({ kind: "recompressed", busyMs: this.nowMs() - before, ...faults });
        return this.warmedUpBy(message.count);
      }
      case "train": {
        const samples = new ZpageBatch(message.buffer, message.capacity);
        samples.count = message.count;
        const { dictionary, ...faults } = work.train(samples);
        // Nothing else makes this thread collect garbage, and the samples take 4 MiB.
        setTimeout(() => Bun.gc(true));
        return this.post({ kind: "trained", busyMs: this.nowMs() - before, dictionary, ...faults });
      }
    }
  }

  private warmedUpBy(pages: number): void {
    if (this.pagesLeft <= 0) return;
    this.pagesLeft -= pages;
    // Where it is refused, the work is done at the usual priority.
    if (this.pagesLeft <= 0) this.thread?.lowerPriority();
  }

  /** The time for which this thread has kept a core busy, as far as it can be known. */
  private nowMs(): number {
    return this.thread?.cpuMs() ?? performance.now();
  }

  private post(message: FromWorker): void {
    postMessage(message);
  }
}

const worker = new ColdWorker();
self.onmessage = ({ data }: MessageEvent<ToWorker>) => void worker.take(data);
