/** Signals: how a program gives up one call. The result of AbortController, in any runtime. */

/**
 * What the library needs of an AbortSignal. It is spelled out, so that the declarations depend
 * neither on those of a browser nor on those of Node.
 */
export interface CallSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** What each call takes. */
export interface CallOptions {
  /**
   * Gives up the call: it rejects at once with the signal's reason. The node may still carry out
   * what was sent, and its answer is ignored.
   */
  signal?: CallSignal | undefined;
  /**
   * How long this call may wait for its answer, in place of the client's `timeoutMs`. A call of
   * several round trips may wait that long for each.
   */
  timeoutMs?: number | undefined;
}

interface Watch {
  readonly calls: Set<() => void>;
  readonly listener: () => void;
}

/**
 * Signals that calls are given up by. Each has one listener, however many calls share it: Node
 * warns of more than ten.
 */
export class Signals {
  private readonly watches = new Map<CallSignal, Watch>();

  /** Calls `giveUp` when the signal is aborted, unless the function that this returns is called. */
  watch(signal: CallSignal, giveUp: () => void): () => void {
    const watch = this.watches.get(signal) ?? this.listen(signal);
    const { calls, listener } = watch;
    calls.add(giveUp);
    return () => {
      if (!calls.delete(giveUp) || calls.size > 0) return;
      signal.removeEventListener("abort", listener);
      this.watches.delete(signal);
    };
  }

  private listen(signal: CallSignal): Watch {
    const calls = new Set<() => void>();
    const listener = (): void => {
      for (const giveUp of calls) giveUp();
    };
    const watch = { calls, listener };
    this.watches.set(signal, watch);
    signal.addEventListener("abort", listener);
    return watch;
  }

  /** Rejects with the signal's reason as soon as there is one, after `giveUp`. */
  async unlessAborted<T>(
    signal: CallSignal | undefined,
    giveUp: () => void,
    work: Promise<T>,
  ): Promise<T> {
    if (signal === undefined) return work;
    if (signal.aborted) {
      work.catch(() => null); // It fails as well, and nobody waits for it.
      giveUp();
      throw signal.reason;
    }
    let end = (): void => {};
    const aborted = new Promise<never>((_, reject) => {
      end = this.watch(signal, () => {
        reject(signal.reason);
        giveUp();
      });
    });
    try {
      return await Promise.race([work, aborted]);
    } finally {
      end();
    }
  }
}
