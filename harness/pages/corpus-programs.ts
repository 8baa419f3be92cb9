/**
 * What the programs of the corpora (corpora.ts) work on: scripts, statements, source text, and a
 * page for a browser. Everything comes from generators with a fixed seed, from the program's own
 * library, or from the source code of this project. Nothing of it is private.
 */
import { below, type Random } from "../../src/core/random.ts";

const SYLLABLES = "ka lo mi ne tor vel san dru pi quo bar el ist on ar den gra ul".split(" ");

function word(random: Random): string {
  return Array.from({ length: 1 + below(random, 4) }, () => SYLLABLES[below(random, 18)]).join("");
}

export function words(random: Random, count: number): string {
  return Array.from({ length: count }, () => word(random)).join(" ");
}

/** Syntax trees of the standard library, tables of sqlite3, and arrays of numpy if it is there. */
export const PYTHON_CORPUS = `
import ast, os, random, sqlite3, sys
rng = random.Random(20240607)
def resident(): return int(open("/proc/self/statm").read().split()[1]) * 4096
trees = []
for folder, folders, names in os.walk(os.path.dirname(os.__file__)):
    folders.sort()
    for name in sorted(names):
        if not name.endswith(".py") or resident() > 110 << 20: continue
        try: trees.append(ast.parse(open(os.path.join(folder, name), encoding="utf-8").read()))
        except (SyntaxError, UnicodeDecodeError): pass
syllables = "ka lo mi ne tor vel san dru pi quo bar el ist on ar den gra ul".split()
def word(): return "".join(rng.choice(syllables) for _ in range(rng.randint(1, 4)))
base = sqlite3.connect(":memory:")
base.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price REAL, body TEXT)")
rows = (
    (n, word() + " " + word(), round(rng.random() * 500, 2), " ".join(word() for _ in range(30)))
    for n in range(120000)
)
base.executemany("INSERT INTO item VALUES (?, ?, ?, ?)", rows)
base.execute("CREATE INDEX item_name ON item (name, price)")
try:
    import numpy
    noise = numpy.random.default_rng(1)
    keep = [
        noise.normal(size=1000000),
        noise.integers(0, 5000, size=1000000, dtype=numpy.int32),
        numpy.arange(2000000).reshape(1000, 2000) % 97,
    ]
except ImportError:
    keep = [rng.gauss(0, 1) for _ in range(1000000)]
print("ready", flush=True)
sys.stdin.readline()
`;

/**
 * The type checker of TypeScript on the sources of this project. Arguments: the module of
 * TypeScript, and the folder of the sources. The program sees them under names of its own.
 */
export const TSC_CORPUS = `
const fs = require("node:fs"), path = require("node:path");
const [, module, root] = process.argv;
const ts = require(module);
const files = new Map();
const add = (name, file) => files.set(name, fs.readFileSync(file, "utf8"));
const library = path.dirname(module);
for (const name of fs.readdirSync(library)) {
  if (/^lib\\..*\\.d\\.ts$/.test(name)) add("/dts/" + name, path.join(library, name));
}
for (const folder of ["src", "harness"]) {
  for (const name of fs.readdirSync(path.join(root, folder), { recursive: true }).sort()) {
    if (name.endsWith(".ts")) add("/" + folder + "/" + name, path.join(root, folder, name));
  }
}
const options = { target: 99, module: 99, strict: true, noEmit: true, skipLibCheck: true,
  allowImportingTsExtensions: true, moduleResolution: 100, types: [], lib: undefined };
const host = {
  getSourceFile: (name, version) =>
    files.has(name) ? ts.createSourceFile(name, files.get(name), version) : undefined,
  getDefaultLibFileName: () => "/dts/lib.d.ts",
  getCurrentDirectory: () => "/",
  getCanonicalFileName: (name) => name,
  useCaseSensitiveFileNames: () => true,
  getNewLine: () => "\\n",
  fileExists: (name) => files.has(name),
  readFile: (name) => files.get(name),
  directoryExists: () => true,
  writeFile() {},
};
const roots = [...files.keys()].filter((name) => !name.startsWith("/dts/"));
const program = ts.createProgram(roots, options, host);
globalThis.keep = [program, program.getSemanticDiagnostics()];
console.log("ready");
process.stdin.resume();
`;

/** Statements for one process of postgres: rows with text, JSON and numbers, and indexes. */
export function postgresInput(): string {
  const md5 = (n: string): string => `md5((${n})::text)`;
  const lines = [
    `CREATE TABLE customer
      (id int PRIMARY KEY, name text, mail text, since date, score float8)`,
    `INSERT INTO customer SELECT i, initcap(substr(${md5("i")}, 1, 4 + i % 9)) || ' ' ||
      initcap(translate(substr(${md5("i * 7")}, 1, 6 + i % 7), '0123456789', 'aeiourstln')),
      translate(substr(${md5("i * 3")}, 1, 8), '0123456789', 'mnrstlkvbd') || ' at example',
      date '2001-01-01' + i % 9000, random() * 1000 FROM generate_series(1, 250000) i`,
    `CREATE TABLE orders
      (id int, customer int, at timestamp, state text, total numeric, doc jsonb)`,
    `INSERT INTO orders SELECT i, i::bigint * 7919 % 250000,
      timestamp '2020-01-01' + i * interval '37 s',
      (array['open', 'paid', 'sent', 'returned'])[1 + i % 4],
      (i::bigint * 16807 % 1000000) / 100.0,
      jsonb_build_object('item', 'article ' || i % 977, 'count', 1 + i % 9, 'gift', i % 11 = 0,
      'tags', jsonb_build_array('t' || i % 31, 't' || i % 17), 'ref', substr(${md5("i")}, 1, 12))
      FROM generate_series(1, 400000) i`,
    "CREATE TABLE log (at timestamptz, level int, line text)",
    `INSERT INTO log SELECT timestamptz '2024-01-01' + i * interval '1.7 s', i % 5,
      'request ' || i || ' from client ' || i::bigint * 104729 % 9973 ||
      ' took ' || i * 31 % 1777 || ' ms, ' ||
      (array['hit', 'miss', 'stale', 'refused'])[1 + (i * 7 % 13) % 4]
      FROM generate_series(1, 400000) i`,
    "CREATE INDEX orders_customer ON orders (customer, at)",
    "CREATE INDEX log_at ON log (at)",
    "CREATE INDEX customer_name ON customer (name)",
    "UPDATE orders SET state = 'closed' WHERE id % 10 = 3",
    "SELECT 'ready' AS line",
  ];
  // In single-user mode a line end ends a statement.
  return lines.map((line) => `${line.replace(/\s+/g, " ")};\n`).join("");
}

/** A long C++ file that instantiates containers and algorithms for many types. */
export function cppInput(random: Random): string {
  const headers = ["algorithm", "functional", "map", "regex", "string", "unordered_map", "vector"];
  const parts = headers.map((name) => `#include <${name}>\n`);
  for (let number = 0; number < 400; number += 1) parts.push(cppType(number, random));
  return parts.join("");
}

function cppType(number: number, random: Random): string {
  const fields = Array.from({ length: 2 + below(random, 5) }, (_, i) => `  long f${i};\n`).join("");
  const factor = 1 + below(random, 9999);
  const name = `T${number}`;
  return `
struct ${name} {
  std::string name;
${fields}  bool operator<(const ${name} &other) const { return f0 * ${factor} < other.f1; }
};
long work${number}(std::vector<${name}> &all, const std::string &text) {
  std::map<std::string, ${name}> byName;
  std::unordered_map<long, std::vector<${name}>> groups;
  std::sort(all.begin(), all.end());
  for (auto &one : all) {
    byName[one.name + text] = one;
    groups[one.f1 % ${1 + below(random, 97)}].push_back(one);
  }
  long sum = ${factor};
  for (auto &[key, group] : groups) {
    std::stable_sort(group.begin(), group.end(),
      [&](const ${name} &a, const ${name} &b) { return a.f0 + key < b.f0 * ${factor}; });
    for (auto &one : group) sum = sum * 31 + one.f1 + byName.count(one.name);
  }
  std::function<long(long)> step = [&](long n) { return n < 2 ? n : step(n - 1) + sum; };
  return step(sum % ${1 + below(random, 50)});
}
`;
}

/** A page with elements, objects and text, for a browser. */
export const BROWSER_PAGE = `<!doctype html><meta charset="utf-8"><title>corpus</title>
<style>
  body { font: 14px sans-serif } .row { display: flex; border-bottom: 1px solid #ccc }
  .row:nth-child(2n) { background: #f4f4f8 } .cell { padding: 2px 8px; width: 12em }
</style><div id="list"></div><script>
let state = 20240607;
const next = (limit) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % limit;
const syllables = "ka lo mi ne tor vel san dru pi quo bar el ist on ar den gra ul".split(" ");
const word = () => Array.from({ length: 1 + next(4) }, () => syllables[next(18)]).join("");
const list = document.getElementById("list");
const users = Array.from({ length: 150000 }, (_, id) => ({
  id, name: word() + " " + word(), tags: [word(), word()], score: next(100000) / 7,
  active: next(3) > 0, note: Array.from({ length: next(12) }, word).join(" ") }));
globalThis.keep = [users, new Map(users.map((user) => [user.name, user])),
  JSON.parse(JSON.stringify(users.slice(0, 60000)))];
for (const user of users.slice(0, 25000)) {
  const row = document.createElement("div");
  row.className = "row";
  for (const text of [user.id, user.name, user.tags.join(", "), user.score.toFixed(2)]) {
    const cell = document.createElement("span");
    cell.className = "cell";
    cell.textContent = text;
    row.append(cell);
  }
  list.append(row);
}
</script>
`;
