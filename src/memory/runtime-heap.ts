/** The heap of JavaScriptCore, as the runtime reports it. */
import { edenGC, fullGC } from "bun:jsc";
import type { RuntimeHeap } from "../core/collector.ts";

export const RUNTIME_HEAP: RuntimeHeap = {
  use: () => {
    const { heapTotal, heapUsed, external, arrayBuffers } = process.memoryUsage();
    // The used bytes include the memory that objects point at.
    const objectBytes = Math.max(0, heapUsed - external);
    return { blockBytes: heapTotal, objectBytes, bufferBytes: arrayBuffers };
  },
  collectNew: () => void edenGC(),
  collectAll: () => void fullGC(),
};
