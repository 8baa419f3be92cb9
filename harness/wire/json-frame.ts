/**
 * Frames as JSON and back, through src/wire. The golden tests compare the result with
 * fixtures/wire, and the fuzzer sends frames through it. The JSON has all content of a frame. So a
 * frame that src/wire accepts must come back from its JSON byte for byte.
 */
import { HEADER_BYTES } from "../../src/core/limits.ts";
import { STATUS, statusName } from "../../src/core/status.ts";
import type { Frame } from "../../src/wire/framer.ts";
import { FLAG_REPLY, writeHeader } from "../../src/wire/header.ts";
import { MESSAGE, type MessageName, messageName } from "../../src/wire/messages.ts";
import { TRANSPORT_STATUS, transportStatusName } from "../../src/wire/status.ts";
import {
  type BodyCodec,
  EMPTY_BODY,
  REPLY_BODIES,
  REQUEST_BODIES,
  TEXT_BODY,
} from "./json-body.ts";

export interface JsonFrame {
  readonly message: string;
  readonly kind: "request" | "reply";
  readonly request: number;
  /** Replies only. */
  readonly transportStatus?: string;
  readonly handlerStatus?: string;
  readonly count: number;
  readonly body: unknown;
}

/** Reads a frame that invalidRequest or invalidReply accepted. */
export function decodeFrame(frame: Frame): JsonFrame {
  const isReply = (frame.flags & FLAG_REPLY) !== 0;
  const name = messageName(frame.type) as MessageName;
  const isRefused = frame.transportStatus !== 0 || frame.handlerStatus !== STATUS.OK;
  const body = codecOf(name, isReply, isRefused).decode(frame);
  const { request, count } = frame;
  if (!isReply) return { message: name, kind: "request", request, count, body };
  const statuses = {
    transportStatus: transportStatusName(frame.transportStatus),
    handlerStatus: statusName(frame.handlerStatus),
  };
  return { message: name, kind: "reply", request, ...statuses, count, body };
}

/** The bytes that src/wire writes for the frame. */
export function encodeFrame(json: JsonFrame): Uint8Array<ArrayBuffer> {
  const name = json.message as MessageName;
  const isReply = json.kind === "reply";
  const transportStatus = statusNumber(json.transportStatus, TRANSPORT_STATUS, "transport_status_");
  const handlerStatus = statusNumber(json.handlerStatus, STATUS, "status_");
  const codec = codecOf(name, isReply, transportStatus !== 0 || handlerStatus !== STATUS.OK);
  const bytes = new Uint8Array(HEADER_BYTES + codec.bytesMax(json.body));
  const view = new DataView(bytes.buffer);
  const bodyBytes = codec.encode(json.body, { bytes, view, at: HEADER_BYTES });
  writeHeader(
    view,
    0,
    MESSAGE[name],
    bodyBytes,
    json.request,
    isReply ? FLAG_REPLY : 0,
    transportStatus,
    handlerStatus,
    json.count,
  );
  return bytes.slice(0, HEADER_BYTES + bodyBytes);
}

function codecOf(name: MessageName, isReply: boolean, isRefused: boolean): BodyCodec<unknown> {
  if (!isReply) return REQUEST_BODIES[name];
  if (isRefused) return TEXT_BODY;
  return REPLY_BODIES[name] ?? EMPTY_BODY;
}

function statusNumber(
  name: string | undefined,
  table: Readonly<Record<string, number>>,
  unnamedPrefix: string,
): number {
  if (name === undefined) return 0;
  return table[name.toUpperCase()] ?? Number(name.slice(unnamedPrefix.length));
}
