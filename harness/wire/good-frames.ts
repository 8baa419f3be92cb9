/**
 * The golden frames: each as bytes, field by field, and as the JSON of their meaning. Both are
 * written without src/wire, so a mistake there cannot hide.
 */
import {
  type Field,
  frameOf,
  type GoldenHandle,
  type HeaderFields,
  handle,
  run,
  u8,
  u16,
  u32,
  u64,
  utf8,
} from "./frame-writer.ts";

export interface GoodFrame {
  /** The name of the files, without `.hex` and `.json`. */
  readonly name: string;
  readonly about: string;
  readonly fields: readonly Field[];
  readonly json: unknown;
}

/** Each word differs from its neighbours, and has its top bit set to reveal signed reads. */
const A: GoldenHandle = {
  pool: 7,
  oid: ["0x123456789abcdef", "0xfedcba9876543210", "0x8000000000000001"],
  index: 4_294_967_295,
};
const B: GoldenHandle = { pool: 65_535, oid: ["0x0", "0xffffffff", "0x100000000"], index: 2 };

/** The last version there can be, 2^45 - 1. */
const VERSION_LAST = 35_184_372_088_831;

const REPLY = { flags: 1 } as const;
const OK = { transportStatus: "none", handlerStatus: "ok" } as const;

function request(
  name: string,
  about: string,
  header: HeaderFields,
  body: readonly Field[],
  json: { readonly message: string; readonly body: unknown },
): GoodFrame {
  const { message } = json;
  const rest = { request: header.request ?? 1, count: header.count ?? 0, body: json.body };
  const fields = frameOf(header, body);
  return { name, about, fields, json: { message, kind: "request", ...rest } };
}

function reply(
  name: string,
  about: string,
  header: HeaderFields,
  body: readonly Field[],
  json: {
    readonly message: string;
    readonly body: unknown;
    readonly transportStatus?: string;
    readonly handlerStatus?: string;
  },
): GoodFrame {
  const statuses = {
    transportStatus: json.transportStatus ?? OK.transportStatus,
    handlerStatus: json.handlerStatus ?? OK.handlerStatus,
  };
  const rest = { request: header.request ?? 1, ...statuses, count: header.count ?? 0 };
  return {
    name,
    about,
    fields: frameOf({ ...header, ...REPLY }, body),
    json: { message: json.message, kind: "reply", ...rest, body: json.body },
  };
}

const PEER_HELLO = {
  role: 1,
  node: 513,
  pageBytes: 4096,
  bootId: "0xfedcba9876543210",
  features: 0,
  codecs: 3,
  keepaliveMs: 2000,
  idleMs: 30_000,
  clusterName: "demo",
  nodeName: "Knödel",
};

function helloFields(role: number, node: number): Field[] {
  return [
    u8(role, "role"),
    u8(0, "reserved"),
    u16(node, "node number"),
    u32(4096, "page size"),
    u64(0xfedcba9876543210n, "boot id"),
    u32(0, "features"),
    u32(3, "codecs: raw and lz4"),
    u32(2000, "keepalive ms"),
    u32(30_000, "idle ms"),
    u8(4, "cluster name: bytes"),
    utf8("demo", "cluster name"),
    u8(7, "node name: bytes, not characters"),
    utf8("Knödel", "node name"),
  ];
}

const CLIENT_HELLO = {
  role: 2,
  node: 0,
  pageBytes: 4096,
  bootId: "0x0",
  features: 0,
  codecs: 0,
  keepaliveMs: 0,
  idleMs: 0,
  clusterName: "",
  nodeName: "",
};

const CLIENT_HELLO_FIELDS: readonly Field[] = [
  u8(2, "role: client"),
  u8(0, "reserved"),
  u16(0, "node number"),
  u32(4096, "page size"),
  u64(0, "boot id"),
  u32(0, "features"),
  u32(0, "codecs"),
  u32(0, "keepalive ms"),
  u32(0, "idle ms"),
  u8(0, "cluster name: bytes"),
  u8(0, "node name: bytes"),
];

const CONTROL: readonly GoodFrame[] = [
  request("hello-request", "HELLO of a node to a peer", { type: 1 }, helloFields(1, 513), {
    message: "HELLO",
    body: PEER_HELLO,
  }),
  request("hello-request-client", "HELLO of a program", { type: 1 }, CLIENT_HELLO_FIELDS, {
    message: "HELLO",
    body: CLIENT_HELLO,
  }),
  reply("hello-reply", "HELLO of a client door, accepted", { type: 1 }, helloFields(3, 1022), {
    message: "HELLO",
    body: { ...PEER_HELLO, role: 3, node: 1022 },
  }),
  reply(
    "hello-reply-refused",
    "HELLO refused: handler status and a line on why",
    { type: 1, handlerStatus: 14 },
    [utf8('cluster is "a" there and "b" here', "reason")],
    {
      message: "HELLO",
      handlerStatus: "bad_request",
      body: 'cluster is "a" there and "b" here',
    },
  ),
  request("keepalive-request", "KEEPALIVE", { type: 2, request: 4_294_967_295 }, [], {
    message: "KEEPALIVE",
    body: null,
  }),
  reply("keepalive-reply", "KEEPALIVE answered", { type: 2, request: 4_294_967_295 }, [], {
    message: "KEEPALIVE",
    body: null,
  }),
  request(
    "goodbye-request",
    "GOODBYE, which has no reply",
    { type: 3, request: 0 },
    [u8(3, "code: DUPLICATE"), utf8("there is a link between us already", "reason")],
    {
      message: "GOODBYE",
      body: { code: 3, reason: "there is a link between us already" },
    },
  ),
];

const PEER: readonly GoodFrame[] = [
  request(
    "put-request",
    "PUT of an ephemeral zpage and a whole persistent page",
    { type: 16, request: 1025, count: 2 },
    [
      ...handle(A),
      u64(VERSION_LAST, "version"),
      u32(0xdeadbeef, "checksum"),
      u16(5, "zpage bytes"),
      u8(1, "codec: lz4"),
      u8(0, "kind: ephemeral"),
      ["1061010150", "zpage"],
      ...handle(B),
      u64(1, "version"),
      u32(1, "checksum"),
      u16(4096, "zpage bytes"),
      u8(0, "codec: raw"),
      u8(1, "kind: persistent"),
      run(0x5a, 4096, "zpage"),
    ],
    {
      message: "PUT",
      body: [
        {
          handle: A,
          kind: 0,
          version: VERSION_LAST,
          checksum: 3_735_928_559,
          codec: 1,
          zpage: "1061010150",
        },
        { handle: B, kind: 1, version: 1, checksum: 1, codec: 0, zpage: "5ax4096" },
      ],
    },
  ),
  reply(
    "put-reply",
    "PUT answered: stored, and no room",
    { type: 16, request: 1025, count: 2 },
    [u8(0, "status: OK"), u8(2, "status: NO_ROOM")],
    { message: "PUT", body: [0, 2] },
  ),
  reply(
    "put-reply-no-handler",
    "PUT to a node that lends no memory: transport status alone",
    { type: 16, request: 1025, transportStatus: 1 },
    [],
    { message: "PUT", transportStatus: "no_handler", body: "" },
  ),
  request(
    "get-request",
    "GET of two zpages",
    { type: 17, request: 2049, count: 2 },
    [...handle(A), u64(VERSION_LAST, "version"), ...handle(B), u64(4_294_967_296, "version")],
    {
      message: "GET",
      body: [
        { handle: A, version: VERSION_LAST },
        { handle: B, version: 4_294_967_296 },
      ],
    },
  ),
  reply(
    "get-reply",
    "GET answered: a zpage, and none",
    { type: 17, request: 2049, count: 2 },
    [
      u64(VERSION_LAST, "version"),
      u32(0xdeadbeef, "checksum"),
      u16(5, "zpage bytes"),
      u8(1, "codec: lz4"),
      u8(0, "status: OK"),
      ["1061010150", "zpage"],
      u64(0, "version"),
      u32(0, "checksum"),
      u16(0, "zpage bytes"),
      u8(0, "codec"),
      u8(1, "status: NOT_FOUND"),
    ],
    {
      message: "GET",
      body: [
        {
          status: 0,
          version: VERSION_LAST,
          checksum: 3_735_928_559,
          codec: 1,
          zpage: "1061010150",
        },
        { status: 1, version: 0, checksum: 0, codec: 0, zpage: "" },
      ],
    },
  ),
  request(
    "flush-request",
    "FLUSH of a page, an object and a pool",
    { type: 18, request: 3073, count: 3 },
    [0, 1, 2].flatMap((scope) => [
      ...handle(scope === 1 ? B : A),
      u64(VERSION_LAST - scope, "up to version"),
      u8(scope, `scope: ${["page", "object", "pool"][scope]}`),
      run(0, 7, "reserved"),
    ]),
    {
      message: "FLUSH",
      body: [0, 1, 2].map((scope) => {
        return { handle: scope === 1 ? B : A, version: VERSION_LAST - scope, scope };
      }),
    },
  ),
  reply(
    "flush-reply",
    "FLUSH answered: flushed, nothing there, flushed",
    { type: 18, request: 3073, count: 3 },
    [u8(0, "status: OK"), u8(1, "status: NOT_FOUND"), u8(0, "status: OK")],
    { message: "FLUSH", body: [0, 1, 0] },
  ),
  request(
    "reclaim-request",
    "RECLAIM of two pages",
    { type: 20, request: 5, count: 2 },
    [...handle(A), u64(VERSION_LAST, "version"), ...handle(B), u64(7, "version")],
    {
      message: "RECLAIM",
      body: [
        { handle: A, version: VERSION_LAST },
        { handle: B, version: 7 },
      ],
    },
  ),
  reply(
    "reclaim-reply",
    "RECLAIM answered: it will be moved, there is nowhere to move it",
    { type: 20, request: 5, count: 2 },
    [u8(0, "status: OK"), u8(2, "status: NO_ROOM")],
    { message: "RECLAIM", body: [0, 2] },
  ),
  request(
    "audit-request",
    "AUDIT from a row on",
    { type: 22, request: 6 },
    [u32(4_294_967_295, "row"), u32(0, "reserved")],
    { message: "AUDIT", body: 4_294_967_295 },
  ),
  reply(
    "audit-reply",
    "AUDIT answered with a page, the last",
    { type: 22, request: 6 },
    [u32(0, "row: none is left"), u32(4_294_967_295, "moves"), ...handle(A), u64(7, "version")],
    {
      message: "AUDIT",
      body: { row: 0, moves: 4_294_967_295, pages: [{ handle: A, version: 7 }] },
    },
  ),
  request(
    "grant-request",
    "GRANT of so many pages on this link, which has no reply",
    { type: 19, request: 0 },
    [u64(VERSION_LAST, "pages"), u64(7, "epoch")],
    { message: "GRANT", body: { pages: VERSION_LAST, epoch: 7 } },
  ),
  request(
    "offer-request",
    "OFFER of a drained node, which has no reply",
    { type: 21, request: 0 },
    [
      u32(131_072, "lend frames"),
      u32(4_294_967_295, "free frames"),
      u8(1, "flags: drained"),
      u8(5, "zone bytes"),
      utf8("rack7", "zone"),
    ],
    {
      message: "OFFER",
      body: { lendFrames: 131_072, freeFrames: 4_294_967_295, isDrained: true, zone: "rack7" },
    },
  ),
];

const TOKEN: readonly Field[] = [
  u64(0x0123_4567_89ab_cdefn, "token"),
  u64(0x0011_2233_4455_6677n, "token"),
];
const TOKEN_TEXT = "0123456789abcdef0011223344556677";

const POOLS: readonly GoodFrame[] = [
  request(
    "new-pool-request",
    "NEW_POOL, persistent, pages stored whole rather than refused",
    { type: 32 },
    [u8(3, "flags: bit 0 persistent, bit 1 store whole"), run(0, 3, "reserved")],
    { message: "NEW_POOL", body: { flags: 3 } },
  ),
  reply(
    "new-pool-reply",
    "NEW_POOL answered",
    { type: 32 },
    [u16(258, "pool"), u16(0, "reserved")],
    {
      message: "NEW_POOL",
      body: { pool: 258 },
    },
  ),
  reply(
    "new-pool-reply-full",
    "NEW_POOL refused: handler status, no reason",
    { type: 32, handlerStatus: 8 },
    [],
    { message: "NEW_POOL", handlerStatus: "pools_full", body: "" },
  ),
  request(
    "destroy-pool-request",
    "DESTROY_POOL",
    { type: 33 },
    [u16(258, "pool"), u16(0, "reserved")],
    { message: "DESTROY_POOL", body: { pool: 258 } },
  ),
  reply("destroy-pool-reply", "DESTROY_POOL answered", { type: 33 }, [], {
    message: "DESTROY_POOL",
    body: null,
  }),
  request(
    "flush-pool-request",
    "FLUSH_POOL",
    { type: 34 },
    [u16(258, "pool"), u16(0, "reserved")],
    {
      message: "FLUSH_POOL",
      body: { pool: 258 },
    },
  ),
  reply("flush-pool-reply", "FLUSH_POOL answered", { type: 34 }, [], {
    message: "FLUSH_POOL",
    body: null,
  }),
  request(
    "pool-token-request",
    "POOL_TOKEN",
    { type: 42 },
    [u16(258, "pool"), u16(0, "reserved")],
    { message: "POOL_TOKEN", body: { pool: 258 } },
  ),
  reply("pool-token-reply", "POOL_TOKEN answered", { type: 42 }, TOKEN, {
    message: "POOL_TOKEN",
    body: TOKEN_TEXT,
  }),
  request(
    "open-pool-request",
    "OPEN_POOL",
    { type: 43 },
    [u16(258, "pool"), u16(0, "reserved"), ...TOKEN],
    { message: "OPEN_POOL", body: { pool: 258, token: TOKEN_TEXT } },
  ),
  reply("open-pool-reply", "OPEN_POOL answered", { type: 43 }, [], {
    message: "OPEN_POOL",
    body: null,
  }),
  reply(
    "open-pool-reply-unknown",
    "OPEN_POOL refused: no such pool, or another token",
    { type: 43, handlerStatus: 6 },
    [],
    { message: "OPEN_POOL", handlerStatus: "unknown_pool", body: "" },
  ),
];

const PAGES: readonly GoodFrame[] = [
  request(
    "page-put-request",
    "PAGE_PUT of one page",
    { type: 35, count: 1 },
    [...handle(A), run(0xc3, 4095, "page"), u8(0x3c, "last byte of the page")],
    { message: "PAGE_PUT", body: [{ handle: A, page: "c3x4095 3c" }] },
  ),
  reply("page-put-reply", "PAGE_PUT answered", { type: 35, count: 1 }, [u8(3, "COMPRESS_POOR")], {
    message: "PAGE_PUT",
    body: [3],
  }),
  request(
    "page-get-request",
    "PAGE_GET: never remove, as the pool says, always remove",
    { type: 36, count: 3 },
    [-1, 0, 1].flatMap((getAndFree) => [
      ...handle(getAndFree === 0 ? B : A),
      u8(getAndFree & 0xff, `get_and_free: ${getAndFree}`),
      run(0, 7, "reserved"),
    ]),
    {
      message: "PAGE_GET",
      body: [-1, 0, 1].map((getAndFree) => {
        return { handle: getAndFree === 0 ? B : A, getAndFree };
      }),
    },
  ),
  reply(
    "page-get-reply",
    "PAGE_GET answered: lost, found, not found",
    { type: 36, count: 3 },
    [
      u8(11, "status: LOST"),
      u8(0, "status: OK"),
      u8(1, "status: NOT_FOUND"),
      run(0xc3, 4096, "the page of the second entry"),
    ],
    {
      message: "PAGE_GET",
      body: [
        { status: 11, page: null },
        { status: 0, page: "c3x4096" },
        { status: 1, page: null },
      ],
    },
  ),
  request(
    "page-flush-request",
    "PAGE_FLUSH",
    { type: 37, count: 2 },
    [...handle(A), ...handle(B)],
    {
      message: "PAGE_FLUSH",
      body: [A, B],
    },
  ),
  reply(
    "page-flush-reply",
    "PAGE_FLUSH answered",
    { type: 37, count: 2 },
    [u8(0, "OK"), u8(6, "UNKNOWN_POOL")],
    {
      message: "PAGE_FLUSH",
      body: [0, 6],
    },
  ),
  request("object-flush-request", "OBJECT_FLUSH", { type: 38, count: 1 }, handle(B), {
    message: "OBJECT_FLUSH",
    body: [B],
  }),
  reply(
    "object-flush-reply",
    "OBJECT_FLUSH answered",
    { type: 38, count: 1 },
    [u8(1, "NOT_FOUND")],
    {
      message: "OBJECT_FLUSH",
      body: [1],
    },
  ),
];

const KNOBS: readonly GoodFrame[] = [
  request("stats-request", "STATS", { type: 39 }, [], { message: "STATS", body: null }),
  request(
    "stats-request-rest",
    "STATS, members and peers from the 301st on",
    { type: 39, count: 300 },
    [],
    { message: "STATS", body: null },
  ),
  reply("stats-reply", "STATS answered", { type: 39 }, [utf8('{"counters":{}}', "JSON")], {
    message: "STATS",
    body: '{"counters":{}}',
  }),
  request("knob-get-request", "KNOB_GET", { type: 40 }, [utf8("target", "name")], {
    message: "KNOB_GET",
    body: "target",
  }),
  reply("knob-get-reply", "KNOB_GET answered", { type: 40 }, [utf8("none", "value")], {
    message: "KNOB_GET",
    body: "none",
  }),
  request(
    "knob-set-request",
    "KNOB_SET",
    { type: 41 },
    [u16(6, "name bytes"), utf8("target", "name"), utf8("12", "value")],
    { message: "KNOB_SET", body: { name: "target", value: "12" } },
  ),
  reply("knob-set-reply", "KNOB_SET answered", { type: 41 }, [utf8("12", "value now in force")], {
    message: "KNOB_SET",
    body: "12",
  }),
  reply(
    "knob-set-reply-refused",
    "KNOB_SET refused: handler status and a line on why",
    { type: 41, handlerStatus: 14 },
    [utf8('Cannot set "target" to "12": it is not one of the peers', "reason")],
    {
      message: "KNOB_SET",
      handlerStatus: "bad_request",
      body: 'Cannot set "target" to "12": it is not one of the peers',
    },
  ),
];

const EVENTS: readonly GoodFrame[] = [
  request("events-request", "EVENTS after the 41st", { type: 44 }, [u32(41, "number")], {
    message: "EVENTS",
    body: 41,
  }),
  reply("events-reply", "EVENTS answered", { type: 44 }, [utf8('{"events":[]}', "JSON")], {
    message: "EVENTS",
    body: '{"events":[]}',
  }),
];

export const GOOD_FRAMES: readonly GoodFrame[] = [
  ...CONTROL,
  ...PEER,
  ...POOLS,
  ...PAGES,
  ...KNOBS,
  ...EVENTS,
];
