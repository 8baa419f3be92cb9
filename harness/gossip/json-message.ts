/** Gossip messages as JSON and back, for fixtures. Bytes are hex. */
import type { PacketMessage, StreamMessage } from "../../src/gossip/messages.ts";

export type JsonMessage = Readonly<Record<string, unknown>>;

export function messageToJson(message: PacketMessage | StreamMessage): JsonMessage {
  return toJson(message) as JsonMessage;
}

function toJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return `hex:${Buffer.from(value).toString("hex")}`;
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, it]) => [name, toJson(it)]));
}
