/**
 * The programs whose memory is recorded, each with the data that it builds. All data comes from a
 * small generator with a fixed seed, so none of it is private.
 */
import { below, type Random } from "../../src/core/random.ts";

/** An interpreter with records, an index over them, numbers and strings. */
export const PYTHON_PROGRAM = `
import random, sys, collections
rng = random.Random(20240607)
syllables = "ka lo mi ne tor vel san dru pi quo bar el ist on ar den gra ul".split()
def word(): return "".join(rng.choice(syllables) for _ in range(rng.randint(1, 4)))
class Order:
    def __init__(self, number):
        self.number = number
        self.customer = " ".join([word().title(), word().title()])
        self.lines = [
            (word(), rng.randint(1, 90), round(rng.random() * 100, 2))
            for _ in range(rng.randint(1, 6))
        ]
        self.note = None
        if rng.random() < 0.4: self.note = " ".join(word() for _ in range(rng.randint(3, 30)))
        self.total = sum(count * price for _, count, price in self.lines)
orders = [Order(number) for number in range(20000)]
by_customer = collections.defaultdict(list)
for order in orders: by_customer[order.customer].append(order)
matrix = [[rng.gauss(0, 1) for _ in range(64)] for _ in range(512)]
text = [(" ".join(word() for _ in range(200))).encode() for _ in range(500)]
print("ready", flush=True)
sys.stdin.readline()
`;

/** A JavaScript engine with objects, maps, strings, typed arrays and parsed JSON. */
export const JAVASCRIPT_PROGRAM = `
let state = 20240607;
const next = (limit) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % limit;
const syllables = "ka lo mi ne tor vel san dru pi quo bar el ist on ar den gra ul".split(" ");
const word = () => Array.from({ length: 1 + next(4) }, () => syllables[next(18)]).join("");
const users = Array.from({ length: 20000 }, (_, id) => ({
  id, name: word() + " " + word(), tags: [word(), word()],
  score: next(100000) / 7, active: next(3) > 0, joined: new Date(1.5e12 + next(1e9) * 100) }));
const byName = new Map(users.map((user) => [user.name, user]));
const copy = JSON.parse(JSON.stringify(users.slice(0, 5000)));
const floats = Float64Array.from({ length: 60000 }, () => Math.sin(next(1000)) * next(50));
const pieces = Array.from({ length: 4000 }, () => Array.from({ length: 30 }, word).join(" "));
globalThis.keep = [users, byName, copy, floats, pieces];
console.log("ready");
process.stdin.resume();
`;

/** A database in memory: two tables, an index, text and numbers. */
export function databaseInput(): string {
  return `
PRAGMA cache_size = -65536;
CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT, born INTEGER);
CREATE TABLE book (id INTEGER PRIMARY KEY, author INTEGER, title TEXT, price REAL, body TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
INSERT INTO author SELECT i, printf('%c%s %c%s', 65 + i % 26, lower(hex(i * 7919 % 65521)),
  65 + i % 23, lower(hex(i * 104729 % 99991))), 1800 + i * 31 % 220 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
INSERT INTO book SELECT i, i * 7907 % 5000 + 1,
  printf('the %d tales of %x', i % 97, i * 48271 % 2147483647), (i * 16807 % 100000) / 100.0,
  substr(printf('%x and %d then %x; ', i * 69621 % 2147483647, i, i * 16807), 1, 8 + i % 40)
    || 'chapter ' || (i % 31) FROM n;
CREATE INDEX book_title ON book (title);
CREATE INDEX book_author ON book (author, price);
.print ready
`;
}

/** A long C file of many different functions, to keep a compiler busy. It includes nothing. */
export function compilerInput(random: Random): string {
  const parts = [
    "typedef unsigned long u64;\nstruct node { struct node *next; u64 key, value[6]; };\n",
  ];
  for (let number = 0; number < 1500; number += 1) parts.push(cFunction(number, random));
  return parts.join("");
}

const OPERATORS = ["+", "-", "*", "^", "|", "&"] as const;

function cFunction(number: number, random: Random): string {
  const operator = () => OPERATORS[below(random, OPERATORS.length)] ?? "+";
  const statements: string[] = [];
  for (let step = 0; step < 4 + below(random, 8); step += 1) {
    const slot = below(random, 6);
    const factor = below(random, 1 << 20);
    const shift = 1 + below(random, 30);
    const mixed = `(sum ${operator()} ${factor}) ${operator()} (at->key >> ${shift})`;
    const rest = `at->value[${slot}] % ${3 + shift}`;
    statements.push(`    at->value[${slot}] = ${mixed};\n`);
    statements.push(`    if (${rest} == 1) sum += at->value[${below(random, 6)}];\n`);
  }
  const call = number === 0 ? "" : `  sum ^= walk_${below(random, number)}(list, sum >> 3);\n`;
  return (
    `u64 walk_${number}(struct node *list, u64 sum)\n{\n` +
    `  for (struct node *at = list; at != 0; at = at->next) {\n${statements.join("")}  }\n` +
    `${call}  return sum;\n}\n`
  );
}
