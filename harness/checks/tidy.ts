/**
 * Tidy: the style of this project as rules that can fail, for what no linter knows.
 *
 * A rule takes one source file and reports what is wrong in it. tidy.test.ts runs the rules over
 * the tree, and each rule over a bad snippet. Rules about all files together are in tree.ts.
 *
 * Rules look at the text, not at a syntax tree. `blank` first puts spaces in place of comments and
 * of what is inside quotes, so that a word in a sentence is no call.
 */
import {
  blank,
  type Finding,
  importsOf,
  isProduct,
  isTest,
  linesOf,
  type SourceFile,
} from "./source.ts";

export interface Rule {
  readonly name: string;
  readonly check: (file: SourceFile) => readonly Finding[];
}

const LINES_MAX = 600;
const COLUMNS_MAX = 100;
/**
 * Lines that the formatter cannot break: a literal on its own line, and the title of a test.
 */
const UNBREAKABLE = /^\s*(?:\w+: )?(["'`/]).*\1[dgimsuy]*[,;)]*$|^\s*\)?(?:test|describe)?\("/;

/** What each room of src may import, besides itself. "+" adds all that the named room may. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  memory: ["core"],
  disk: ["core"],
  spill: ["core"],
  frames: ["core"],
  tmem: ["core"],
  placement: ["core", "frames"],
  compress: ["memory", "core", "fixtures/pages"],
  zcache: ["tmem", "placement", "compress", "frames", "core"],
  cold: ["zcache", "tmem", "placement", "compress", "memory", "core"],
  wire: ["core"],
  net: ["wire", "core"],
  gossip: ["core"],
  cluster: ["gossip", "net", "core"],
  security: ["gossip", "net", "core"],
  ramster: ["spill", "cold", "zcache", "tmem", "placement", "compress", "net", "wire", "core"],
  nbd: ["net", "core"],
  http: ["net", "core"],
  monitoring: ["wire", "core"],
  page: ["monitoring", "wire", "core"],
  doors: ["page", "monitoring", "http", "ramster", "net", "wire", "core"],
  exports: ["ramster", "nbd", "net", "core"],
  client: ["security", "net", "wire", "memory", "core"],
  standby: ["net", "core"],
  systemd: ["memory", "core"],
  netlink: ["memory", "nbd", "core"],
  node: [
    "standby",
    "monitoring",
    "doors",
    "exports",
    "ramster",
    "cold",
    "zcache",
    "tmem",
    "placement",
    "compress",
    "frames",
    "cluster",
    "gossip",
    "security",
    "net",
    "wire",
    "memory",
    "core",
  ],
  rehearsal: ["node", "nbd", "cold", "compress", "net", "core"],
  cli: [
    "standby",
    "monitoring",
    "systemd",
    "netlink",
    "rehearsal",
    "node",
    "cold",
    "compress",
    "cluster",
    "doors",
    "exports",
    "client",
    "security",
    "gossip",
    "placement",
    "compress",
    "memory",
    "disk",
    "net",
    "wire",
    "core",
  ],
  commands: ["cli", "harness/stress"],
  main: ["commands", "cli", "core"],
};

/** Packages above the harness, which it may not import. */
const ABOVE_HARNESS = ["commands", "main"];

/** The other folders that each folder of src/ramster may import. */
const RAMSTER_ROOMS: Readonly<Record<string, readonly string[]>> = {
  holders: [],
  foreign: [],
  remotify: ["holders"],
  repatriate: ["holders"],
  repair: ["holders", "remotify", "repatriate"],
};
/**
 * Files on the top floor of src/ramster that import no folder, so that every folder may use them.
 */
const RAMSTER_SHARED = ["copies", "counters", "latencies", "peers", "policy", "seals"];

/**
 * Packages, with the rooms or files that may import each. Packages of types are not restricted.
 */
const OUTSIDE: readonly { readonly name: RegExp; readonly homes: readonly string[] }[] = [
  { name: /^lz4-wasm/, homes: ["src/compress/"] },
  { name: /^(cac|kleur)$/, homes: ["src/cli/"] },
  { name: /^@msgpack\/msgpack$/, homes: ["src/gossip/"] },
  { name: /^node:zlib$/, homes: ["src/gossip/"] },
  { name: /^node:crypto$/, homes: ["src/gossip/", "src/security/", "src/client/keys.ts"] },
  { name: /^node:dns/, homes: ["src/net/bun-datagrams.ts"] },
  { name: /^(@peculiar\/x509|reflect-metadata)$/, homes: ["src/security/"] },
  { name: /^uplot$/, homes: ["src/page/browser/"] },
  { name: /^prom-client$/, homes: ["src/doors/metrics.ts"] },
  {
    name: /^bun:(ffi|jsc)$/,
    homes: ["src/memory/", "src/systemd/", "src/netlink/", "src/compress/native/"],
  },
  { name: /^node:buffer$/, homes: ["src/"] },
  {
    name: /^node:fs/,
    homes: [
      "src/net/bun.ts",
      "src/net/bun-listener.ts",
      "src/compress/lz4.ts",
      "src/compress/native/sample.ts",
      "src/memory/linux-memory.ts",
      "src/memory/linux-process.ts",
      "src/memory/descriptors.ts",
      "src/memory/process-pages.ts",
      "src/memory/process-use.ts",
      "src/memory/processes.ts",
      "src/memory/kept-files.ts",
      "src/memory/keep-folder.ts",
      "src/memory/libc-path.ts",
      "src/memory/system-library.ts",
      "src/netlink/nbd-family.ts",
      "src/disk/",
      "src/page/bundle.ts",
      "src/cli/",
      "src/main.ts",
    ],
  },
  {
    name: /^node:/,
    homes: [
      "src/net/bun.ts",
      "src/net/node.ts",
      "src/memory/",
      "src/netlink/",
      "src/disk/",
      "src/page/bundle.ts",
      "src/cli/",
      "src/main.ts",
    ],
  },
];

/** Files that may use time, chance, the process and the console. Two run in no node. */
const EFFECT_HOMES = [
  "src/page/browser/",
  "src/page/bundle.ts",
  "src/cold/worker.ts",
  "src/net/bun.ts",
  "src/net/bun-datagrams.ts",
  "src/net/bun-listener.ts",
  "src/net/node.ts",
  "src/memory/",
  "src/disk/",
  "src/cli/",
  "src/main.ts",
];

const BANNED: readonly {
  readonly call: RegExp;
  readonly instead: string;
  readonly homes: readonly string[];
}[] = [
  { call: /\bDate\.now\b|\bnew Date\(\)/, instead: "the Clock passed in", homes: EFFECT_HOMES },
  { call: /\bperformance\./, instead: "the Clock passed in", homes: EFFECT_HOMES },
  { call: /\bMath\.random\b/, instead: "the Random passed in", homes: EFFECT_HOMES },
  {
    call: /\b(set(Timeout|Interval|Immediate)|queueMicrotask)\b/,
    instead: "the Clock passed in",
    homes: EFFECT_HOMES,
  },
  {
    call: /\bprocess\.exit\b/,
    instead: "an exit code returned to main.ts",
    homes: ["src/main.ts"],
  },
  { call: /\bprocess\./, instead: "what main.ts and cli pass in", homes: EFFECT_HOMES },
  {
    call: /\bBun\.hash\.crc32\b/,
    instead: "Checksummer",
    homes: [...EFFECT_HOMES, "src/compress/checksum.ts"],
  },
  {
    call: /\bBun\.(?!hash\.crc32\b)/,
    instead: "an interface",
    homes: [...EFFECT_HOMES, "src/compress/bun-zstd.ts"],
  },
  { call: /\bconsole\./, instead: "counters and errors", homes: EFFECT_HOMES },
];

export const RULES: readonly Rule[] = [
  { name: "layering", check: layering },
  { name: "rooms of src/ramster", check: roomsOfRamster },
  { name: "outside imports", check: outsideImports },
  { name: "file length", check: fileLength },
  { name: "line length", check: lineLength },
  { name: "banned calls", check: bannedCalls },
  { name: "no any", check: noAny },
  { name: "nothing focused, skipped or promised", check: nothingPromised },
  { name: "no mutable state at module level", check: noModuleState },
  { name: "no empty catch", check: noEmptyCatch },
  { name: "imports with extension", check: importsWithExtension },
];

/** `core` for src/core/list.ts, `main` for src/main.ts, `harness/sim` for harness/sim/drive.ts. */
function roomOf(path: string): string {
  const [top = "", first = ""] = path.split("/");
  const room = first.replace(/\.ts$/, "");
  return top === "src" ? room : `${top}/${room}`;
}

/** `holders` for src/ramster/holders/lenders.ts, `copies` for src/ramster/copies.ts. */
function ramsterRoomOf(path: string): string | null {
  const [, room = ""] = /^src\/ramster\/(\w[\w-]*)/.exec(path) ?? [];
  return room === "" ? null : room;
}

function isAt(homes: readonly string[], path: string): boolean {
  return homes.some((home) => (home.endsWith("/") ? path.startsWith(home) : path === home));
}

function layering(file: SourceFile): Finding[] {
  if (isTest(file.path)) return [];
  // The packages are above all: their manual pages are made from the tables of the commands.
  if (file.path.startsWith("packaging/")) return [];
  if (!isProduct(file.path)) return harnessLayering(file);
  const room = roomOf(file.path);
  const allowed = ROOMS[room];
  if (allowed === undefined) {
    return [{ path: file.path, line: 0, message: `"src/${room}" is not in the table of rooms` }];
  }
  return importsOf(file).flatMap(({ target, line }) => {
    if (target === null || (target === "package.json" && room === "core")) return [];
    const other = roomOf(target);
    if (other === room || allowed.includes(other)) return [];
    const known = allowed.length === 0 ? "nothing" : allowed.join(", ");
    return [{ path: file.path, line, message: `"${room}" imports "${target}", may: ${known}` }];
  });
}

function harnessLayering(file: SourceFile): Finding[] {
  return importsOf(file).flatMap(({ target, line }) => {
    if (target === null) return [];
    const isAbove = target.startsWith("packaging/build/") || ABOVE_HARNESS.includes(roomOf(target));
    if (!isAbove) return [];
    return [{ path: file.path, line, message: `the harness imports "${target}", which uses it` }];
  });
}

function roomsOfRamster(file: SourceFile): Finding[] {
  const room = ramsterRoomOf(file.path);
  if (room === null || isTest(file.path)) return [];
  const isFolder = file.path.startsWith(`src/ramster/${room}/`);
  if (!isFolder && !RAMSTER_SHARED.includes(room)) return []; // It ties the folders together.
  const known = isFolder ? RAMSTER_ROOMS[room] : [];
  if (known === undefined) {
    return [{ path: file.path, line: 0, message: `"${room}" is not in the table of rooms` }];
  }
  const allowed = [...known, ...RAMSTER_SHARED];
  return importsOf(file).flatMap(({ target, line }) => {
    const other = target === null ? null : ramsterRoomOf(target);
    if (other === null || other === room || allowed.includes(other)) return [];
    const message = `"${room}" imports "${target}", may: ${allowed.join(", ")}`;
    return [{ path: file.path, line, message }];
  });
}

function outsideImports(file: SourceFile): Finding[] {
  if (!isProduct(file.path)) return [];
  return importsOf(file).flatMap(({ specifier, target, line }) => {
    if (target !== null) return [];
    const entry = OUTSIDE.find((it) => it.name.test(specifier));
    if (entry !== undefined && isAt(entry.homes, file.path)) return [];
    const homes = entry === undefined ? "nowhere" : `in ${entry.homes.join(", ")}`;
    return [{ path: file.path, line, message: `"${specifier}" is imported, allowed ${homes}` }];
  });
}

function fileLength(file: SourceFile): Finding[] {
  const count = file.text.trimEnd().split("\n").length;
  if (count <= LINES_MAX) return [];
  return [{ path: file.path, line: 0, message: `${count} lines, at most ${LINES_MAX}` }];
}

function lineLength(file: SourceFile): Finding[] {
  return linesOf(file.text).flatMap(({ text, line }) => {
    const columns = [...text].length;
    if (columns <= COLUMNS_MAX || UNBREAKABLE.test(text)) return [];
    return [{ path: file.path, line, message: `${columns} columns, at most ${COLUMNS_MAX}` }];
  });
}

function bannedCalls(file: SourceFile): Finding[] {
  if (!isProduct(file.path)) return [];
  return linesOf(blank(file.text)).flatMap(({ text, line }) =>
    BANNED.filter(({ call, homes }) => call.test(text) && !isAt(homes, file.path)).map((it) => {
      const found = it.call.exec(text)?.[0] ?? "";
      return { path: file.path, line, message: `"${found}" is banned here: use ${it.instead}` };
    }),
  );
}

function noAny(file: SourceFile): Finding[] {
  const type = /\bas any\b|[:<,|&(]\s*any\b(?!\s*[:(.=])|\bany\[\]/;
  return matches(file, blank(file.text), type, '"any": narrow an unknown instead');
}

function nothingPromised(file: SourceFile): Finding[] {
  const focused = /\b(test|it|describe)\b[\w.]*\.(only|skip|todo)\b/;
  const promised = new RegExp(["TO", "DO\\b|\\bFIX", "ME\\b|@ts-", "(ignore|nocheck)"].join(""));
  return [
    ...matches(file, blank(file.text), focused, "a test is focused or skipped"),
    ...matches(file, file.text, promised, "something is promised or hidden: do it, or file it"),
  ];
}

function noModuleState(file: SourceFile): Finding[] {
  if (isTest(file.path)) return [];
  const findings: Finding[] = [];
  let depth = 0;
  for (const { text, line } of linesOf(blank(file.text))) {
    if (depth === 0 && /^\s*(export\s+)?(let|var)\s/.test(text)) {
      findings.push({ path: file.path, line, message: "mutable at module level: make it a field" });
    }
    for (const character of text) {
      if ("{[(".includes(character)) depth += 1;
      if ("}])".includes(character)) depth -= 1;
    }
  }
  return findings;
}

function noEmptyCatch(file: SourceFile): Finding[] {
  const found = /\bcatch\s*(\([^)]*\))?\s*\{\s*\}/g;
  const text = blank(file.text, { comments: "keep" });
  return [...text.matchAll(found)].map((match) => ({
    path: file.path,
    line: text.slice(0, match.index).split("\n").length,
    message: "an empty catch: say in a comment why nothing is to be done",
  }));
}

function importsWithExtension(file: SourceFile): Finding[] {
  return importsOf(file).flatMap(({ specifier, target, line }) => {
    if (target === null || /\.[a-z]+$/.test(specifier)) return [];
    return [{ path: file.path, line, message: `"${specifier}" is imported without its extension` }];
  });
}

function matches(file: SourceFile, text: string, pattern: RegExp, message: string): Finding[] {
  return linesOf(text)
    .filter((it) => pattern.test(it.text))
    .map(({ line }) => ({ path: file.path, line, message }));
}
