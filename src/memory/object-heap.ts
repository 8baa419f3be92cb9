/** The heap of JavaScriptCore, as the runtime shows it. */
import { fullGC } from "bun:jsc";
import type { ObjectHeap } from "../core/collector.ts";

export const OBJECT_HEAP: ObjectHeap = {
  byteCount: () => process.memoryUsage().heapTotal,
  collect: () => void fullGC(),
};
