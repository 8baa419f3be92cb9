/**
 * Bodies: encodes and decodes each message of memberlist, without the wrapping of packets and
 * streams. Fields have the names of memberlist's Go structs (net.go).
 */
import { WireError } from "../core/errors.ts";
import { FOREIGN_NAME_BYTES_MAX, META_BYTES_MAX, PACKET_BYTES_MAX } from "../core/limits.ts";
import {
  GOSSIP,
  MEMBER_STATE,
  type MemberState,
  type PacketMessage,
  type PushPullMember,
  type Versions,
} from "./messages.ts";
import { decodeMsgpack, encodeMsgpack, Fields } from "./msgpack.ts";

const IP_BYTES_MAX = 16;
const PORT_MAX = 65_535;
/** Of an ack: a coordinate of Serf (serf-coordinate.ts), or the payload of another program. */
const PAYLOAD_BYTES_MAX = 1400;
const ERROR_BYTES_MAX = 1024;

/** A message of memberlist's user, which is Serf. */
export function userMessage(bytes: Uint8Array): Uint8Array {
  return encodeMessage({ kind: "user", bytes });
}

/** The bytes of a whole message: its id, then its body. */
export function encodeMessage(message: PacketMessage): Uint8Array {
  switch (message.kind) {
    case "ping": {
      const { seq, node } = message;
      return encodeBody(GOSSIP.PING, { SeqNo: seq, Node: node, ...sourceFields(message) });
    }
    case "indirect-ping": {
      const { seq, target, port, node, nack } = message;
      const fields = { SeqNo: seq, Target: target, Port: port, Node: node, Nack: nack };
      return encodeBody(GOSSIP.INDIRECT_PING, { ...fields, ...sourceFields(message) });
    }
    case "ack":
      return encodeBody(GOSSIP.ACK, { SeqNo: message.seq, Payload: message.payload });
    case "nack":
      return encodeBody(GOSSIP.NACK, { SeqNo: message.seq });
    case "suspect":
    case "dead": {
      const { incarnation, node, from } = message;
      const id = message.kind === "dead" ? GOSSIP.DEAD : GOSSIP.SUSPECT;
      return encodeBody(id, { Incarnation: incarnation, Node: node, From: from });
    }
    case "alive": {
      const { incarnation, node, addr, port, meta, vsn } = message;
      const who = { Incarnation: incarnation, Node: node, Addr: addr, Port: port };
      return encodeBody(GOSSIP.ALIVE, { ...who, Meta: meta, Vsn: Uint8Array.from(vsn) });
    }
    case "user":
      return withId(GOSSIP.USER, message.bytes);
  }
}

/** Decodes the message with this id. Throws WireError BAD_FRAME. */
export function decodeMessage(id: number, body: Uint8Array): PacketMessage {
  if (id === GOSSIP.USER) return { kind: "user", bytes: body };
  const fields = new Fields(decodeMsgpack(body));
  const name = (field: string): string => fields.text(field, FOREIGN_NAME_BYTES_MAX);
  const seq = (): number => fields.count("SeqNo");
  switch (id) {
    case GOSSIP.PING:
      return { kind: "ping", seq: seq(), node: name("Node"), ...readSource(fields) };
    case GOSSIP.INDIRECT_PING:
      return {
        kind: "indirect-ping",
        seq: seq(),
        target: address(fields, "Target"),
        port: fields.count("Port", PORT_MAX),
        node: name("Node"),
        nack: fields.flag("Nack"),
        ...readSource(fields),
      };
    case GOSSIP.ACK:
      return { kind: "ack", seq: seq(), payload: fields.bytes("Payload", PAYLOAD_BYTES_MAX) };
    case GOSSIP.NACK:
      return { kind: "nack", seq: seq() };
    case GOSSIP.SUSPECT:
    case GOSSIP.DEAD: {
      const kind = id === GOSSIP.DEAD ? "dead" : "suspect";
      const incarnation = fields.count("Incarnation");
      return { kind, incarnation, node: memberName(fields, "Node"), from: anyName(fields, "From") };
    }
    case GOSSIP.ALIVE:
      return {
        kind: "alive",
        incarnation: fields.count("Incarnation"),
        node: memberName(fields, "Node"),
        addr: address(fields, "Addr"),
        port: fields.count("Port", PORT_MAX),
        meta: fields.bytes("Meta", META_BYTES_MAX),
        vsn: versions(fields),
      };
    default:
      throw malformed(`message id ${id} is unknown`);
  }
}

/** One member of a push/pull (pushNodeState). */
export function encodeMember(member: PushPullMember): Uint8Array {
  return encodeMsgpack({
    Name: member.name,
    Addr: member.addr,
    Port: member.port,
    Meta: member.meta,
    Incarnation: member.incarnation,
    State: member.state,
    Vsn: Uint8Array.from(member.vsn),
  });
}

export function decodeMember(bytes: Uint8Array): PushPullMember {
  const fields = new Fields(decodeMsgpack(bytes));
  return {
    name: memberName(fields, "Name"),
    addr: address(fields, "Addr"),
    port: fields.count("Port", PORT_MAX),
    meta: fields.bytes("Meta", META_BYTES_MAX),
    incarnation: fields.count("Incarnation"),
    state: fields.count("State", MEMBER_STATE.LEFT) as MemberState,
    vsn: versions(fields),
  };
}

/** errResp: why a request was refused. */
export function encodeError(error: string): Uint8Array {
  return encodeBody(GOSSIP.ERR, { Error: error });
}

export function decodeError(body: Uint8Array): string {
  return new Fields(decodeMsgpack(body)).text("Error", ERROR_BYTES_MAX);
}

/** One byte of id, then `bytes`. */
export function withId(id: number, bytes: Uint8Array): Uint8Array {
  const message = new Uint8Array(1 + bytes.byteLength);
  message[0] = id;
  message.set(bytes, 1);
  return message;
}

function encodeBody(id: number, fields: Record<string, unknown>): Uint8Array {
  return withId(id, encodeMsgpack(fields));
}

interface Source {
  readonly sourceAddr: Uint8Array;
  readonly sourcePort: number;
  readonly sourceNode: string;
}

function sourceFields({ sourceAddr, sourcePort, sourceNode }: Source) {
  return { SourceAddr: sourceAddr, SourcePort: sourcePort, SourceNode: sourceNode };
}

function readSource(fields: Fields): Source {
  const sourceAddr = fields.bytes("SourceAddr", IP_BYTES_MAX);
  if (sourceAddr.byteLength !== 0) address(fields, "SourceAddr");
  return {
    sourceAddr,
    sourcePort: fields.count("SourcePort", PORT_MAX),
    sourceNode: anyName(fields, "SourceNode"),
  };
}

/** An IP address: 4 or 16 bytes. */
function address(fields: Fields, name: string): Uint8Array {
  const bytes = fields.bytes(name, IP_BYTES_MAX);
  if (bytes.byteLength === 4 || bytes.byteLength === IP_BYTES_MAX) return bytes;
  throw malformed(`${name} is not an IP address`);
}

/** A name that is not looked up: any text is valid. */
function anyName(fields: Fields, name: string): string {
  return new TextDecoder().decode(fields.bytes(name, PACKET_BYTES_MAX));
}

function memberName(fields: Fields, name: string): string {
  const text = fields.text(name, FOREIGN_NAME_BYTES_MAX);
  if (text === "" || /\p{Cc}/u.test(text)) throw malformed(`${name} is not a name`);
  return text;
}

function versions(fields: Fields): Versions {
  const bytes = fields.bytes("Vsn", 6);
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = bytes;
  return [a, b, c, d, e, f];
}

function malformed(reason: string): WireError {
  return new WireError("BAD_FRAME", `Cannot read gossip: ${reason}`);
}
