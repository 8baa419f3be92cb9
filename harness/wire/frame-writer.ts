/**
 * A second writer of frames, for fixtures/wire. It shares no code with src/wire, so each checks the
 * other. A frame is a list of fields, each as hex with a comment.
 */

/** Hex digits, or a run (hex.ts), and their meaning. */
export type Field = readonly [hex: string, comment: string];

export function u8(value: number, comment: string): Field {
  return [hexOf(value, 1), comment];
}

export function u16(value: number, comment: string): Field {
  return [hexOf(value, 2), comment];
}

export function u32(value: number, comment: string): Field {
  return [hexOf(value, 4), comment];
}

export function u64(value: bigint | number, comment: string): Field {
  return [hexOf(value, 8), comment];
}

export function utf8(text: string, comment: string): Field {
  return [Buffer.from(text, "utf8").toString("hex"), `${comment} ${JSON.stringify(text)}`];
}

/** The same byte, `count` times. */
export function run(byte: number, count: number, comment: string): Field {
  return [`${hexOf(byte, 1)}x${count}`, comment];
}

export interface GoldenHandle {
  readonly pool: number;
  readonly oid: readonly [string, string, string];
  readonly index: number;
}

export function handle(value: GoldenHandle): Field[] {
  return [
    u64(BigInt(value.oid[0]), "handle: oid word 0"),
    u64(BigInt(value.oid[1]), "oid word 1"),
    u64(BigInt(value.oid[2]), "oid word 2"),
    u32(value.index, "index"),
    u16(value.pool, "pool"),
    u16(0, "reserved"),
  ];
}

/** Fields of the header. Those that are absent are as in a plain request. */
export interface HeaderFields {
  readonly magic?: number;
  readonly version?: number;
  readonly type: number;
  readonly bodyBytes?: number;
  readonly request?: number;
  readonly flags?: number;
  readonly transportStatus?: number;
  readonly handlerStatus?: number;
  readonly reserved?: number;
  readonly count?: number;
}

/** Header and body. The length is that of the body, if `header` has none. */
export function frameOf(header: HeaderFields, body: readonly Field[]): Field[] {
  return [
    u16(header.magic ?? 0x524d, 'magic "RM"'),
    u8(header.version ?? 1, "protocol version"),
    u8(header.type, "message type"),
    u32(header.bodyBytes ?? byteCountOf(body), "body bytes"),
    u32(header.request ?? 1, "request number"),
    u8(header.flags ?? 0, "flags"),
    u8(header.transportStatus ?? 0, "transport status"),
    u8(header.handlerStatus ?? 0, "handler status"),
    u8(header.reserved ?? 0, "reserved"),
    u32(header.count ?? 0, "count"),
    ...body,
  ];
}

function byteCountOf(fields: readonly Field[]): number {
  let total = 0;
  for (const [hex] of fields) {
    const count = /x(\d+)$/.exec(hex)?.[1];
    total += count === undefined ? hex.length / 2 : Number(count);
  }
  return total;
}

/** The text of a `.hex` file: comment lines, then a line for each field with its offset. */
export function hexFile(about: readonly string[], fields: readonly Field[]): string {
  const lines = about.map((line) => `# ${line}`);
  let at = 0;
  for (const field of fields) {
    const [hex, comment] = field;
    lines.push(`${hex.padEnd(HEX_COLUMN_CHARS)} # ${at.toString().padStart(4)} ${comment}`);
    at += byteCountOf([field]);
  }
  return `${lines.join("\n")}\n`;
}

const HEX_COLUMN_CHARS = 16;

function hexOf(value: bigint | number, byteCount: number): string {
  return value.toString(16).padStart(2 * byteCount, "0");
}
