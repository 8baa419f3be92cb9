/** Settings of a node as options of its stores (src/zcache), and of its pages (src/ramster). */
import {
  FRAME_BYTES,
  OBJECTS_PER_NODE_MAX,
  PAGE_BYTES,
  PAGES_PER_NODE_MAX,
  PINNED_PAGES_MIN,
} from "../core/limits.ts";
import type { ZcacheOptions } from "../zcache/zcache.ts";
import type { NumberedConfig } from "./config.ts";

/** Remote and same-filled pages take no frames here, so the index is far larger than the store. */
export function storeOptions(config: NumberedConfig, bytes: number): ZcacheOptions {
  return {
    frameCountMax: Math.max(1, Math.floor(bytes / FRAME_BYTES)), // A server's own store has one.
    placement: config.placement,
    order: config.order,
    highMarkPercent: config.highMarkPercent,
    lowMarkPercent: config.lowMarkPercent,
    pageCountMax: PAGES_PER_NODE_MAX,
    objectCountMax: OBJECTS_PER_NODE_MAX,
    persZpageBytesMax: config.persZpageBytesMax,
    persZpageMeanBytes: config.persZpageMeanBytes,
  };
}

/**
 * In swap mode, frames are pinned, and so are the records of pages in frames and of remote pages.
 */
export function ownStoreOptions(config: NumberedConfig): ZcacheOptions {
  const options = storeOptions(config, config.memoryBytes);
  if (config.swap === "off") return options;
  const exported = config.exports.reduce((sum, it) => sum + it.byteCount / PAGE_BYTES, 0);
  const pinnedPages = Math.max(PINNED_PAGES_MIN, exported, 2 * options.frameCountMax);
  return { ...options, pinnedPages: Math.min(pinnedPages, PAGES_PER_NODE_MAX) };
}

export function ramsterSettings(config: NumberedConfig) {
  return {
    target: config.target,
    replicas: config.replicas,
    replicasOnDisk: config.replicasOnDisk,
    spillBytes: config.spillBytes ?? 0,
    persEnabled: config.remotifyPers,
    ephEnabled: config.remotifyEph,
    requestTimeoutMs: config.requestTimeoutMs,
    coldSharePercent: config.coldSharePercent,
    trickle: {
      frames: config.trickleFrames,
      periodMs: config.tricklePeriodMs,
      firstMs: config.trickleFirstMs,
    },
    selfshrink: {
      enabled: config.selfshrink,
      intervalMs: config.selfshrinkIntervalMs,
      hysteresis: config.selfshrinkHysteresis,
      inertia: config.selfshrinkInertia,
      pagesMax: config.selfshrinkPages,
    },
  };
}
